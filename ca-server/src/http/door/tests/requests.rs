//! The routes of requests: statuses, entity tags, keys and queries.

use super::*;
use api::RequestBody;
use hyper::header::{ETAG, IF_MATCH, IF_NONE_MATCH};

const FILE: &[u8] = br#"{"targets":["root@web-1"],"duration":"30m"}"#;

impl House {
    async fn with(&self, method: &str, path: &str, body: &[u8], header: (&str, &str)) -> Answer {
        let mut request = self.signed(1, method, path, body);
        let name = hyper::header::HeaderName::from_bytes(header.0.as_bytes()).unwrap();
        request.headers_mut().insert(name, header.1.parse().unwrap());
        self.ask(request).await
    }

    async fn send(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.ask(self.signed(1, method, path, body)).await
    }
}

async fn told(answer: Answer) -> (StatusCode, String, RequestBody) {
    let (status, etag) = (answer.status(), answer.headers()[ETAG].to_str().unwrap().to_owned());
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, etag, serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}: {body:?}")))
}

#[tokio::test]
async fn a_request_is_filed_looked_at_and_withdrawn() {
    let house = House::new(LOOSE).await;
    let (status, _, first) = told(house.with("POST", "/v1/requests", FILE, ("idempotency-key", "k")).await).await;
    assert_eq!(status, StatusCode::CREATED);
    let (status, etag, again) = told(house.with("POST", "/v1/requests", FILE, ("idempotency-key", "k")).await).await;
    assert_eq!((status, &again.id), (StatusCode::OK, &first.id));
    let other = house.with("POST", "/v1/requests", br#"{"targets":["root@web-1"]}"#, ("idempotency-key", "k")).await;
    assert_eq!(refusal(other).await, (StatusCode::BAD_REQUEST, Code::IdempotencyMismatch));
    let dry = br#"{"targets":["root@web-1"],"dry_run":true}"#;
    assert_eq!(told(house.send("POST", "/v1/requests", dry).await).await.0, StatusCode::OK);

    let path = format!("/v1/requests/{}", first.id.unwrap());
    assert_eq!(told(house.send("GET", &path, b"").await).await.1, etag);
    let same = house.with("GET", &path, b"", (IF_NONE_MATCH.as_str(), &etag)).await;
    assert_eq!((same.status(), same.headers()[ETAG].to_str().unwrap()), (StatusCode::NOT_MODIFIED, etag.as_str()));
    assert!(same.into_body().collect().await.unwrap().to_bytes().is_empty());

    let cancel = format!("{path}/cancel");
    let stale = house.with("POST", &cancel, b"", (IF_MATCH.as_str(), "\"7-00000000\"")).await;
    assert_eq!(refusal(stale).await, (StatusCode::PRECONDITION_FAILED, Code::PreconditionFailed));
    let (status, changed, body) = told(house.with("POST", &cancel, b"", (IF_MATCH.as_str(), &etag)).await).await;
    assert_eq!((status, body.version), (StatusCode::OK, 1));
    assert_ne!(changed, etag);
    let end = house.send("POST", &format!("{path}/end"), br#"{"why":"done"}"#).await;
    assert_eq!(refusal(end).await, (StatusCode::CONFLICT, Code::Conflict));
    let mine = format!("{path}/approvals");
    let mine = house.send("POST", &mine, format!(r#"{{"digest":"{}"}}"#, body.digest).as_bytes()).await;
    assert_eq!(refusal(mine).await, (StatusCode::FORBIDDEN, Code::Denied));
    let answer = house.send("GET", "/v1/requests?limit=1&view=mine", b"").await;
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn queries_headers_and_ids_that_mean_nothing_are_refused() {
    let house = House::new(LOOSE).await;
    let (_, _, filed) = told(house.send("POST", "/v1/requests", FILE).await).await;
    let path = format!("/v1/requests/{}", filed.id.unwrap());
    let queries = ["wait=61", "wait=-1", "wait=", "wait", "wait=1&wait=1", "weight=1", "wait=%31"];
    for query in queries {
        let answer = house.send("GET", &format!("{path}?{query}"), b"").await;
        assert_eq!(refusal(answer).await.1, Code::BadRequest, "{query}");
    }
    for query in [
        "view=none",
        "limit=0",
        "limit=101",
        "limit=x",
        "after=x",
        "after=s-00112233445566778899aabb",
        "a=b",
        "user=",
        "user=%ff",
        "host=*",
        "ticket=",
        "stage=Over",
    ] {
        let answer = house.send("GET", &format!("/v1/requests?{query}"), b"").await;
        assert_eq!(refusal(answer).await.1, Code::BadRequest, "{query}");
    }
    for query in ["user=ann@example.com", "user=a%2Bb%7Cc", "host=web-1&stage=open", "ticket=OPS-1&view=mine"] {
        let answer = house.send("GET", &format!("/v1/requests?{query}"), b"").await;
        assert_eq!(answer.status(), StatusCode::OK, "{query}");
    }
    for path in
        ["/v1/requests/r-00112233445566778899aabb", "/v1/requests/x", "/v1/requests/x/y", "/v1/requests//cancel"]
    {
        assert_eq!(refusal(house.send("GET", path, b"").await).await.0.as_u16() / 10, 40, "{path}");
    }
    let long = "k".repeat(200);
    let answer = house.with("POST", "/v1/requests", FILE, ("idempotency-key", &long)).await;
    assert_eq!(refusal(answer).await.1, Code::BadRequest);
    let mut twice = house.signed(1, "POST", &format!("{path}/cancel"), b"");
    twice.headers_mut().append(IF_MATCH, "*".parse().unwrap());
    twice.headers_mut().append(IF_MATCH, "\"0\"".parse().unwrap());
    assert_eq!(refusal(house.ask(twice).await).await.1, Code::BadRequest);
    let other = house.send("DELETE", "/v1/requests", b"").await;
    assert_eq!(other.headers()["allow"], "GET, POST");
}

/// A wait is no slow request.
#[tokio::test(start_paused = true)]
async fn a_wait_may_take_longer_than_a_request() {
    let house = House::new(&format!("{LOOSE}request_timeout = \"2s\"\n")).await;
    let (_, etag, filed) = told(house.send("POST", "/v1/requests", FILE).await).await;
    let path = format!("/v1/requests/{}?wait=30", filed.id.unwrap());
    let begun = tokio::time::Instant::now();
    let answer = house.with("GET", &path, b"", (IF_NONE_MATCH.as_str(), &etag)).await;
    assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(begun.elapsed().as_secs(), 30);
}
