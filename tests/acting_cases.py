"""What the pages of social media send, and what it does: for the table itself, and through a worker."""

import json
from dataclasses import dataclass
from urllib.parse import urlencode

from policy.acting import Act

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
UNKNOWN = "social.example"


@dataclass(frozen=True, slots=True)
class Sent:
    """One request; `does` is None when it reads. `is_navigation`: it loads a page."""

    host: str
    path: str
    does: Act | None
    body: bytes = b"x=secret-words"
    media_type: str = FORM
    method: str = "POST"
    is_navigation: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.host}{self.path} {self.does or 'reads'}"


def form(**fields: str) -> bytes:
    return urlencode({**fields, "variables": "secret-words"}).encode()


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def _friendly(name: str) -> bytes:
    return form(fb_api_req_friendly_name=name, doc_id="1")


def _posted(host: str, *acts: tuple[str, Act]) -> list[Sent]:
    return [Sent(host, path, act) for path, act in acts]


_VOYAGER = "/voyager/api"
SENT = [
    Sent("www.facebook.com", "/api/graphql/", None, _friendly("CometNewsFeedPaginationQuery")),
    Sent("www.facebook.com", "/api/graphql/", Act.COMMENT, _friendly("useCometUFICreateCommentMutation")),
    Sent("m.facebook.com", "/api/graphql/", Act.REACT, _friendly("CometUFIFeedbackReactMutation")),
    Sent("facebook.com", "/api/graphql/", Act.CHANGE, form(doc_id="1")),
    Sent("www.facebook.com", "/api/graphqlbatch/", None, _friendly("MessengerThreadQuery")),
    Sent("www.facebook.com", "/api/graphqlbatch/", Act.CHANGE, form(queries="x")),
    *_posted(
        "www.facebook.com",
        ("/login/device-based/regular/login/", Act.SIGN_IN),
        ("/ajax/mercury/send_messages.php", Act.MESSAGE),
        ("/ajax/ufi/add_comment.php", Act.COMMENT),
    ),
    Sent("www.instagram.com", "/graphql/query", None, _friendly("PolarisPostRootQuery")),
    Sent("www.instagram.com", "/api/graphql", Act.REACT, _friendly("usePolarisLikeMediaLikeMutation")),
    *_posted(
        "www.instagram.com",
        ("/api/v1/web/accounts/login/ajax/", Act.SIGN_IN),
        ("/api/v1/web/comments/123/add/", Act.COMMENT),
        ("/api/v1/web/likes/123/like/", Act.REACT),
        ("/api/v1/friendships/create/123/", Act.REACT),
        ("/rupload_igphoto/fb_uploader_1", Act.UPLOAD),
        ("/api/v1/media/configure/", Act.PUBLISH),
        ("/api/v1/direct_v2/threads/broadcast/text/", Act.MESSAGE),
    ),
    Sent("x.com", "/i/api/graphql/a1/HomeTimeline", None, as_json({"queryId": "a1"}), JSON),
    Sent("x.com", "/i/api/graphql/a1/TweetDetail?variables=1", None, b"", "", "GET"),
    Sent("x.com", "/i/api/graphql/a1/CreateTweet", Act.PUBLISH, as_json({"text": "secret-words"}), JSON),
    Sent("twitter.com", "/i/api/graphql/a1/FavoriteTweet", Act.REACT, as_json({"t": "secret-words"}), JSON),
    *_posted(
        "x.com",
        ("/i/api/1.1/onboarding/task.json", Act.SIGN_IN),
        ("/sessions", Act.SIGN_IN),
        ("/i/api/1.1/friendships/create.json", Act.REACT),
        ("/i/api/1.1/statuses/update.json", Act.PUBLISH),
        ("/i/api/1.1/dm/new2.json", Act.MESSAGE),
    ),
    Sent("upload.x.com", "/i/media/upload.json?command=INIT", Act.UPLOAD),
    Sent("www.linkedin.com", f"{_VOYAGER}/graphql?queryId=feed", None, b"", "", "GET"),
    *_posted(
        "www.linkedin.com",
        ("/uas/authenticate", Act.SIGN_IN),
        ("/checkpoint/lg/login-submit", Act.SIGN_IN),
        (f"{_VOYAGER}/contentcreation/normShares", Act.PUBLISH),
        (f"{_VOYAGER}/feed/comments", Act.COMMENT),
        (f"{_VOYAGER}/voyagerSocialDashReactions?threadUrn=1", Act.REACT),
        (f"{_VOYAGER}/feed/reactions", Act.REACT),
        (f"{_VOYAGER}/voyagerMessagingDashMessengerMessages?action=createMessage", Act.MESSAGE),
        (f"{_VOYAGER}/voyagerVideoDashMediaUploadMetadata?action=upload", Act.UPLOAD),
    ),
    Sent("www.reddit.com", "/svc/shreddit/graphql", None, as_json({"operation": "SubredditFeed"}), JSON),
    Sent("www.reddit.com", "/svc/shreddit/graphql", Act.REACT, as_json({"operation": "UpdateVote"}), JSON),
    *_posted(
        "www.reddit.com",
        ("/svc/shreddit/account/login", Act.SIGN_IN),
        ("/svc/shreddit/t3_1abc/create-comment", Act.COMMENT),
        ("/api/comment", Act.COMMENT),
        ("/api/submit", Act.PUBLISH),
        ("/api/vote", Act.REACT),
        ("/api/compose", Act.MESSAGE),
        ("/api/media/asset.json", Act.UPLOAD),
    ),
    Sent("www.youtube.com", "/youtubei/v1/browse", None, as_json({"context": {}}), JSON),
    *_posted(
        "www.youtube.com",
        ("/youtubei/v1/comment/create_comment", Act.COMMENT),
        ("/youtubei/v1/comment/perform_comment_action", Act.REACT),
        ("/youtubei/v1/like/like", Act.REACT),
        ("/youtubei/v1/live_chat/send_message", Act.MESSAGE),
        ("/youtubei/v1/playlist/create", Act.PUBLISH),
    ),
    Sent("upload.youtube.com", "/upload/studio", Act.UPLOAD),
    Sent("www.tiktok.com", "/api/recommend/item_list/", None, as_json({}), JSON),
    *_posted(
        "www.tiktok.com",
        ("/passport/web/user/login/", Act.SIGN_IN),
        ("/api/comment/publish/", Act.COMMENT),
        ("/api/commit/item/digg/", Act.REACT),
        ("/tiktok/web/project/post/v1/", Act.PUBLISH),
        ("/v1/message/send", Act.MESSAGE),
        ("/api/v1/video/upload/auth/", Act.UPLOAD),
    ),
    Sent("www.pinterest.com", "/resource/PinResource/get/?data=1", None, b"", "", "GET"),
    *_posted(
        "www.pinterest.com",
        ("/resource/UserSessionResource/create/", Act.SIGN_IN),
        ("/resource/AggregatedCommentResource/create/", Act.COMMENT),
        ("/resource/UserFollowResource/create/", Act.REACT),
        ("/resource/ConversationsResource/create/", Act.MESSAGE),
        ("/resource/RepinResource/create/", Act.PUBLISH),
        ("/upload-image/", Act.UPLOAD),
    ),
    Sent("www.tumblr.com", "/api/v2/timeline/dashboard", None, b"", "", "GET"),
    *_posted(
        "www.tumblr.com",
        ("/api/v2/oauth2/token", Act.SIGN_IN),
        ("/api/v2/blog/town/posts", Act.PUBLISH),
        ("/api/v2/user/like", Act.REACT),
        ("/api/v2/conversations/messages", Act.MESSAGE),
        ("/api/v2/media", Act.UPLOAD),
    ),
    Sent("nextdoor.com", "/api/gql/PersonalizedFeed", None, as_json({"variables": {}}), JSON),
    Sent("nextdoor.com", "/api/gql/CreateComment", Act.COMMENT, as_json({"text": "secret-words"}), JSON),
    Sent("auth.nextdoor.com", "/v2/token", Act.SIGN_IN),
    # Sites that are in no table.
    Sent(UNKNOWN, "/search", None),
    Sent(UNKNOWN, "/feed", None, as_json({"page": 2}), JSON),
    Sent(UNKNOWN, "/post", Act.SUBMIT, is_navigation=True),
    Sent(UNKNOWN, "/photo", Act.UPLOAD, b"secret-words", "multipart/form-data; boundary=x"),
    Sent(UNKNOWN, "/photo", Act.UPLOAD, b"secret-words", "image/jpeg"),
    Sent(UNKNOWN, "/photo", Act.UPLOAD, b"secret-words", ""),
    Sent(UNKNOWN, "/photo", Act.UPLOAD, as_json("x" * (64 << 10)), JSON),
    Sent(UNKNOWN, "/post/7", Act.CHANGE, b"secret-words", JSON, "PUT"),
    Sent(UNKNOWN, "/post/7", Act.CHANGE, as_json({}), JSON, "PATCH"),
    Sent(UNKNOWN, "/post/7", Act.CHANGE, b"", "", "DELETE"),
    Sent(UNKNOWN, "/search", None, b"", "", "OPTIONS"),
    Sent(UNKNOWN, "/graphql", None, as_json({"query": "{ me { id } }"}), JSON),
    Sent(UNKNOWN, "/graphql", Act.COMMENT, as_json({"query": "mutation { addComment }"}), JSON),
    Sent(UNKNOWN, "/api/graphql", None, as_json({"operationName": "FeedQuery", "extensions": {}}), JSON),
    Sent(UNKNOWN, "/api/graphql", Act.REACT, as_json({"operationName": "LikePost"}), JSON),
]
