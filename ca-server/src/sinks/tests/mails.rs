use super::{HOSTILE, ID, Running, append, entry, memory, secret};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};

/// What a mail server was told: every line, and each mail.
#[derive(Default)]
struct Post {
    said: Mutex<Vec<String>>,
    mails: Mutex<Vec<String>>,
    /// What it answers to a whole mail, before it takes them.
    refusals: Mutex<Vec<&'static str>>,
}

/// A mail server that speaks as much of RFC 5321 as a client needs.
async fn serve(post: Arc<Post>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(converse(stream, Arc::clone(&post)));
        }
    });
    port
}

async fn converse(stream: tokio::net::TcpStream, post: Arc<Post>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 mail.example.com ESMTP\r\n").await.unwrap();
    while let Ok(Some(line)) = lines.next_line().await {
        post.said.lock().unwrap().push(line.clone());
        let word = line.split(' ').next().unwrap().to_uppercase();
        let answer = match word.as_str() {
            "EHLO" => "250-mail.example.com\r\n250-8BITMIME\r\n250 AUTH PLAIN\r\n",
            "AUTH" => "235 welcome\r\n",
            "DATA" => {
                write.write_all(b"354 go on\r\n").await.unwrap();
                let mut mail = String::new();
                while let Ok(Some(line)) = lines.next_line().await {
                    if line == "." {
                        break;
                    }
                    mail.push_str(line.strip_prefix('.').unwrap_or(&line));
                    mail.push('\n');
                }
                let refusal = post.refusals.lock().unwrap().pop();
                if refusal.is_none() {
                    post.mails.lock().unwrap().push(mail);
                }
                refusal.unwrap_or("250 taken\r\n")
            }
            "QUIT" => "221 bye\r\n",
            _ => "250 fine\r\n",
        };
        if write.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn sink(port: u16, more: &str) -> String {
    format!(
        "[[sink]]\nname = \"mail\"\nkind = \"smtp\"\naddress = \"127.0.0.1:{port}\"\nencryption = \"none\"\n\
         from = \"jit-ssh <ca@example.com>\"\nto = [\"ops@example.com\", \"Größe <b@example.com>\"]\n{more}"
    )
}

#[tokio::test]
async fn a_mail_says_what_happened_and_nobody_else_writes_its_headers() {
    let (home, store, post) = (tempfile::tempdir().unwrap(), memory(), Arc::new(Post::default()));
    let password = secret(home.path(), "password", "correct horse");
    let more = format!("username = \"ca\"\npassword_file = \"{password}\"\nlink = \"https://wiki.example.com/\"\n");
    let running = Running::start(&sink(serve(Arc::clone(&post)).await, &more), &store).await;
    store.append(entry("request.filed\r\nBcc: eve@example.com\r\n\r\nx", HOSTILE)).await.unwrap();
    running.until(|sink| sink.delivered == 1).await;
    let mail = post.mails.lock().unwrap().remove(0);
    let (headers, body) = mail.split_once("\n\n").unwrap();
    let names: Vec<&str> =
        headers.lines().filter(|l| !l.starts_with(' ')).map(|l| l.split(':').next().unwrap()).collect();
    assert!(!names.contains(&"Bcc") && !names.contains(&"Injected"), "{headers}");
    assert!(headers.contains("Message-ID: <mail-0-0@ca.example.com>"), "{headers}");
    assert!(headers.contains("Subject: [jit-ssh] request.filed"), "{headers}");
    let encoding = headers.lines().find(|line| line.starts_with("Content-Transfer-Encoding")).unwrap();
    let text = match encoding.split(' ').next_back().unwrap() {
        "base64" => String::from_utf8(STANDARD.decode(body.replace('\n', "")).unwrap()).unwrap(),
        "quoted-printable" => body.replace("=\n", "").replace("=3D", "="),
        _ => body.to_owned(),
    };
    assert!(text.contains("by ann@example.com for deploy@web-1 reason: a|b"), "{text}");
    assert!(text.contains(&format!("jit-ssh show {ID}")), "{text}");
    assert!(text.contains(&format!("  https://wiki.example.com/{ID}\n")), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    let said = post.said.lock().unwrap().clone();
    let receivers: Vec<&String> = said.iter().filter(|line| line.starts_with("RCPT")).collect();
    assert_eq!(receivers, ["RCPT TO:<ops@example.com>", "RCPT TO:<b@example.com>"]);
    assert!(said.iter().any(|line| *line == format!("AUTH PLAIN {}", STANDARD.encode("\0ca\0correct horse"))));
}

#[tokio::test]
async fn a_server_that_is_busy_is_tried_again_and_one_that_refuses_is_believed() {
    let (store, post) = (memory(), Arc::new(Post::default()));
    *post.refusals.lock().unwrap() = vec!["451 later\r\n", "452 full\r\n"];
    let running = Running::start(&sink(serve(Arc::clone(&post)).await, "tries = 2\n"), &store).await;
    append(&store, &["login.opened"]).await;
    let status = running.until(|sink| sink.delivered == 1).await;
    assert_eq!((status.failures, status.dead_letters), (2, 0));
    *post.refusals.lock().unwrap() = vec!["554 hunter2 \u{1b}[31m\r\n"; 2];
    append(&store, &["login.opened"]).await;
    running.until(|sink| sink.dead_letters == 1).await;
    let dead = running.sinks.dead_letters("mail", 9).await.unwrap().unwrap();
    assert_eq!(dead[0].reason, "the mail server answered 554");
}
