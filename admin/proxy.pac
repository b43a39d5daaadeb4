// Tells browsers which proxy to use. Made from `pac` in settings.yaml.

var PROXY = $proxy;
var TOWN_DOMAINS = $domains;
var TOWN_NETWORKS = [
    ["127.0.0.0", "255.0.0.0"],
    ["10.0.0.0", "255.0.0.0"],
    ["172.16.0.0", "255.240.0.0"],
    ["192.168.0.0", "255.255.0.0"]
];

// No name is looked up here: the proxy does that, and a slow lookup would hold up every page.
// Nothing falls back to DIRECT: with the proxy down, the web is closed, not open.
function FindProxyForURL(url, host) {
    var i;
    host = host.toLowerCase();
    if (host.indexOf(":") >= 0) {
        return PROXY; // an IPv6 address, which isPlainHostName takes for a name without dots
    }
    if (isPlainHostName(host)) {
        return "DIRECT";
    }
    for (i = 0; i < TOWN_DOMAINS.length; i++) {
        if (host === TOWN_DOMAINS[i] || dnsDomainIs(host, "." + TOWN_DOMAINS[i])) {
            return "DIRECT";
        }
    }
    if (/^[0-9]+(\.[0-9]+){3}$$/.test(host)) {
        for (i = 0; i < TOWN_NETWORKS.length; i++) {
            if (isInNet(host, TOWN_NETWORKS[i][0], TOWN_NETWORKS[i][1])) {
                return "DIRECT";
            }
        }
    }
    return PROXY;
}
