use super::*;
use proptest::prelude::*;

const STATE: &str = "the-right-state";

fn expected(port: u16) -> Expected {
    Expected { state: STATE.to_owned(), issuer: "https://idp.example.com".to_owned(), issuer_always_sent: false, port }
}

fn request(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:7\r\n\r\n")
}

fn judged(target: &str) -> Verdict {
    judge(&request(target), &expected(7))
}

#[test]
fn only_the_right_answer_is_taken() {
    let code = |code: &str| Verdict::Code(code.to_owned());
    assert_eq!(judged("/callback?code=abc&state=the-right-state"), code("abc"));
    assert_eq!(judged("/callback?state=the-right-state&code=a%2Fb&iss=https%3A%2F%2Fidp.example.com"), code("a/b"));
    for stray in [
        "/favicon.ico",
        "/",
        "/callback",
        "/callback/?code=abc&state=the-right-state",
        "/callback?code=abc",
        "/callback?code=abc&state=wrong",
        "/callback?code=abc&state=the-right-stat",
        "/callback?code=abc&state=the-right-state&state=the-right-state",
        "/callback?code=abc&code=def&state=the-right-state",
        "/callback?code=&state=the-right-state",
        "/callback?code=abc&error=x&state=the-right-state",
        "/callback?state=the-right-state",
        "/callback?error=access_denied",
        "/callback?error=access_denied&state=wrong",
        "//callback?code=abc&state=the-right-state",
    ] {
        assert!(matches!(judged(stray), Verdict::Stray(_)), "{stray}");
    }
}

/// RFC 9207: an answer of another issuer, or of none where the issuer always names itself, is a mix-up.
#[test]
fn the_issuer_must_be_the_one_we_asked() {
    assert!(matches!(judged("/callback?code=a&state=the-right-state&iss=https://evil.example.com"), Verdict::Stray(_)));
    let always = Expected { issuer_always_sent: true, ..expected(7) };
    let without = request("/callback?code=a&state=the-right-state");
    assert!(matches!(judge(&without, &always), Verdict::Stray(_)));
    let with = request("/callback?code=a&state=the-right-state&iss=https://idp.example.com");
    assert_eq!(judge(&with, &always), Verdict::Code("a".to_owned()));
}

#[test]
fn other_methods_and_other_names_for_this_machine_are_refused() {
    let target = "/callback?code=a&state=the-right-state";
    for text in [
        format!("POST {target} HTTP/1.1\r\nHost: 127.0.0.1:7\r\n\r\n"),
        format!("HEAD {target} HTTP/1.1\r\nHost: 127.0.0.1:7\r\n\r\n"),
        format!("GET {target} HTTP/1.1\r\nHost: evil.example.com:7\r\n\r\n"),
        format!("GET {target} HTTP/1.1\r\nHost: localhost:7\r\n\r\n"),
        format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:7\r\nHost: evil.example.com\r\n\r\n"),
        format!("GET {target} HTTP/1.1\r\n\r\n"),
    ] {
        assert!(matches!(judge(&text, &expected(7)), Verdict::Stray(_)), "{text}");
    }
}

#[test]
fn a_refusal_is_told_in_the_issuers_words_and_shown_safely() {
    let verdict = judged("/callback?error=access_denied&error_description=%3Cscript%3E&state=the-right-state");
    assert_eq!(verdict, Verdict::Refused("access_denied (<script>)".to_owned()));
    let page = Page { issuer: "<b>", fingerprint: "SHA256:x" };
    let shown = page.refused("access_denied (<script>)");
    assert!(!shown.contains("<script>") && shown.contains("&lt;script&gt;") && shown.contains("&lt;b&gt;"));
    assert!(page.done().contains("SHA256:x"));
}

async fn scene() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

async fn send(port: u16, text: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    // The other side may hang up in the middle of an oversized request.
    drop(stream.write_all(text.as_bytes()).await);
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    String::from_utf8(answer).unwrap()
}

fn to(port: u16, target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n")
}

const PAGE: Page<'static> = Page { issuer: "idp", fingerprint: "SHA256:abc" };

#[tokio::test]
async fn strays_are_answered_and_the_wait_goes_on() {
    let (listener, port) = scene().await;
    let silent = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let browser = async {
        assert!(send(port, &to(port, "/favicon.ico")).await.starts_with("HTTP/1.1 404"));
        assert!(send(port, &to(port, "/callback?code=a&state=wrong")).await.starts_with("HTTP/1.1 400"));
        assert_eq!(send(port, &format!("GET /{} ", "a".repeat(64 * 1024))).await, "", "oversized: hung up on");
        send(port, &to(port, "/callback?code=right&state=the-right-state")).await
    };
    let expected = expected(port);
    let (code, page) = tokio::join!(wait(&listener, &expected, &PAGE), browser);
    assert_eq!(code.unwrap(), "right");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("SHA256:abc"), "{page}");
    assert!(page.contains("Content-Security-Policy: default-src 'none'"));
    drop(silent);
}

#[tokio::test]
async fn a_crowd_of_silent_strangers_does_not_keep_the_browser_out() {
    let (listener, port) = scene().await;
    let mut crowd = Vec::new();
    for _ in 0..MOST - 1 {
        crowd.push(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    }
    let expected = expected(port);
    let right = to(port, "/callback?code=c&state=the-right-state");
    let (code, _page) = tokio::join!(wait(&listener, &expected, &PAGE), send(port, &right));
    assert_eq!(code.unwrap(), "c");
}

#[tokio::test]
async fn a_refusal_ends_the_wait() {
    let (listener, port) = scene().await;
    let expected = expected(port);
    let refusal = to(port, "/callback?error=access_denied&state=the-right-state");
    let (ended, _page) = tokio::join!(wait(&listener, &expected, &PAGE), send(port, &refusal));
    assert!(ended.unwrap_err().message.contains("access_denied"));
}

proptest! {
    #[test]
    fn no_request_is_taken_without_the_state(text in "\\PC{0,200}", query in "[a-z=&%0-9]{0,60}") {
        prop_assert!(matches!(judge(&text, &expected(7)), Verdict::Stray(_)));
        let verdict = judged(&format!("/callback?{query}"));
        prop_assert!(matches!(verdict, Verdict::Stray(_)));
    }
}
