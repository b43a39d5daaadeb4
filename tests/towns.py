"""A small town's policy, as text."""

DOCUMENT = """\
town:
  name: Town of Exampleton
  timezone: America/New_York
  help_desk: {email: helpdesk@town.example, phone: 555-0100}
schedules:
  lunch: {days: mon-fri, from: "12:00", to: "13:00"}
departments:
  finance: {name: Finance, head: head, networks: [10.10.20.0/24]}
  parks:   {name: Parks, head: parks-head, networks: [10.10.40.0/24]}
people:
  clerk:         {name: Clerk, mail: clerk@town.example, department: finance}
  head:          {name: Head of Finance, mail: head@town.example, department: finance}
  parks-head:    {name: Head of Parks, mail: parks-head@town.example, department: parks}
  helpdesk:      {name: Help desk, mail: helpdesk@town.example}
  it:            {name: IT, mail: it@town.example}
  administrator: {name: Town administrator, mail: administrator@town.example}
roles:
  it_security: [it]
  town_administrator: [administrator]
  help_desk: [helpdesk]
devices:
  127.0.0.1: {name: FIN-PC-15, person: clerk}
unknown: {action: block}
rules:
  - {id: security-risk, group: security_risk, action: block, approval: [it_security]}
  - {id: lunch-time, when: lunch, categories: [shopping, sports, press], action: allow}
  - id: not-town-business
    categories: [adult, gambling, games, dating, shopping, sports]
    action: block
    approval: [department_head]
    because: Acceptable Use Policy, Prohibited Uses 5 and 18
default: {action: allow}
tests:
  - as: clerk
    visit: https://cardroom.example/
    at: "2026-03-02 10:00"
    expect: block
    rule: not-town-business
  - as: clerk
    visit: https://library.example/
    at: "2026-03-02 10:00"
    expect: allow
"""
