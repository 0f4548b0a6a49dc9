//! The pages the browser shows: no script, no style sheet, nothing loaded, every text escaped.

/// What all pages know.
pub struct Page<'a> {
    /// The issuer's name.
    pub issuer: &'a str,
    /// The session key's fingerprint, to be compared with the terminal's.
    pub fingerprint: &'a str,
}

impl Page<'_> {
    /// The code is here.
    pub fn done(&self) -> String {
        let text = format!(
            "<p>{} has sent your login to <b>jit-ssh</b> in your terminal.</p>\
             <p>It is for the session key<br><code>{}</code></p>\
             <p>Your terminal shows the same fingerprint. If it does not, or you did not start a login, somebody else \
             did: run <code>jit-ssh logout</code> and tell your security team.</p><p>You can close this page.</p>",
            escaped(self.issuer),
            escaped(self.fingerprint)
        );
        response("200 OK", "Back to your terminal", &text)
    }

    /// There will be no code.
    pub fn refused(&self, why: &str) -> String {
        let text = format!("<p>{} says: {}</p><p>You can close this page.</p>", escaped(self.issuer), escaped(why));
        response("200 OK", "The login was refused", &text)
    }

    /// Not what we wait for.
    pub fn stray(&self, status: &str) -> String {
        response(status, "Not a login", "<p>This is not the answer that jit-ssh waits for. Nothing has changed.</p>")
    }
}

fn response(status: &str, title: &str, text: &str) -> String {
    let body = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>jit-ssh: {title}</title></head>\
         <body><h1>{title}</h1>{text}</body></html>"
    );
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n\
         Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n\r\n{body}",
        body.len()
    )
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, character| {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
        safe
    })
}
