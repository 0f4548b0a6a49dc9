use super::*;
use crate::{keys::UserKey, state::StateDir};
use policy::Identity;
use proptest::prelude::*;
use ssh_key::{
    LineEnding, PrivateKey,
    certificate::{Builder, CertType},
    private::Ed25519Keypair,
};
use std::process::{Child, Command, Stdio};

/// A real ssh-agent on a socket of its own; ends with the test.
pub struct RealAgent {
    directory: tempfile::TempDir,
    process: Child,
}

impl RealAgent {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut process = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(directory.path().join("agent"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It prints where it listens once it does.
        let mut said = [0; 1];
        process.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        Self { directory, process }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("agent")
    }

    pub fn connect(&self) -> Agent {
        Agent::at(self.path()).unwrap()
    }

    fn ssh_add(&self, args: &[&str]) -> String {
        let output = Command::new("ssh-add").args(args).env("SSH_AUTH_SOCK", self.path()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for RealAgent {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

pub fn ca(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

pub fn public_line(key: &PrivateKey) -> String {
    key.public_key().to_openssh().unwrap()
}

pub fn identity() -> Identity {
    Identity {
        kind: policy::Kind::User,
        issuer: "https://idp.example.com".parse().unwrap(),
        subject: "alice".parse().unwrap(),
        email: None,
        groups: Vec::new(),
        amr: Vec::new(),
        acr: None,
        mfa: false,
        auth_time: None,
        claims: Vec::new(),
        known_as: Vec::new(),
    }
}

fn certificate(ca: &PrivateKey, key: &UserKey, key_id: &str) -> Certificate {
    let mut builder = Builder::new([7; 16], key.public().clone(), 1_000, 4_000_000_000).unwrap();
    builder.serial(9).unwrap();
    builder.cert_type(CertType::User).unwrap();
    builder.key_id(key_id).unwrap();
    builder.valid_principal("deploy@web-1").unwrap();
    builder.sign(ca).unwrap()
}

fn grant(byte: u8) -> GrantId {
    GrantId::from_random([byte; 12])
}

fn target() -> Target {
    "deploy@web-1".parse().unwrap()
}

fn our_comment(grant_byte: u8) -> String {
    comment(&grant(grant_byte), &target(), UnixTime::from_secs(4_000_000_000))
}

fn our_key_id(grant_byte: u8) -> String {
    KeyId::new(&grant(grant_byte), &identity()).to_string()
}

#[test]
fn openssh_takes_the_certificate_alone_and_gives_it_back() {
    let real = RealAgent::start();
    let mut agent = real.connect();
    let key = UserKey::fresh().unwrap();
    let certificate = certificate(&ca(1), &key, &our_key_id(1));
    agent.add(&certificate, &key, &our_comment(1), 300).unwrap();

    let listed = real.ssh_add(&["-l"]);
    assert_eq!(listed.lines().count(), 1, "only the certificate, no plain key: {listed}");
    assert!(listed.contains("(ED25519-CERT)") && listed.contains("target=deploy@web-1"), "{listed}");
    let ours = agent.ours(&[public_line(&ca(1))]).unwrap();
    assert_eq!((ours.len(), &ours[0].target, ours[0].expires.as_secs()), (1, &target(), 4_000_000_000));

    agent.remove(&ours[0].blob).unwrap();
    assert!(agent.list().unwrap().is_empty());
}

/// The agent signs with what it was given: the private half arrived whole.
#[test]
fn openssh_can_sign_with_what_we_added() {
    let real = RealAgent::start();
    let key = UserKey::fresh().unwrap();
    let certificate = certificate(&ca(1), &key, &our_key_id(1));
    real.connect().add(&certificate, &key, &our_comment(1), 300).unwrap();
    let file = real.directory.path().join("id-cert.pub");
    std::fs::write(&file, certificate.to_openssh().unwrap()).unwrap();
    let tested = Command::new("ssh-add").arg("-T").arg(&file).env("SSH_AUTH_SOCK", real.path()).output().unwrap();
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));
}

#[test]
fn the_agent_itself_forgets_it_when_its_life_is_over() {
    let real = RealAgent::start();
    let mut agent = real.connect();
    let key = UserKey::fresh().unwrap();
    agent.add(&certificate(&ca(1), &key, &our_key_id(1)), &key, &our_comment(1), 1).unwrap();
    let start = std::time::Instant::now();
    while !agent.list().unwrap().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(20), "the lifetime was not taken");
    }
}

#[test]
fn nothing_that_is_not_ours_is_recognised() {
    let real = RealAgent::start();
    let mut agent = real.connect();
    let known = [public_line(&ca(1))];
    let add = |agent: &mut Agent, ca: &PrivateKey, key_id: &str, comment: &str| {
        let key = UserKey::fresh().unwrap();
        agent.add(&certificate(ca, &key, key_id), &key, comment, 300).unwrap();
    };
    add(&mut agent, &ca(2), &our_key_id(1), &our_comment(1)); // another CA
    add(&mut agent, &ca(1), "somebody else's", &our_comment(1)); // another key id
    add(&mut agent, &ca(1), &our_key_id(2), &our_comment(1)); // comment and key id of two grants
    add(&mut agent, &ca(1), &our_key_id(1), "alice@laptop"); // another comment
    assert!(agent.ours(&known).unwrap().is_empty());
    add(&mut agent, &ca(1), &our_key_id(1), &our_comment(1));
    assert_eq!(agent.ours(&known).unwrap().len(), 1);
    assert_eq!(agent.list().unwrap().len(), 5);
}

/// A user's own key with our comment on it stays: a comment is anybody's to write.
#[test]
fn a_plain_key_with_our_comment_is_left_alone() {
    let real = RealAgent::start();
    let mut own = ca(9);
    own.set_comment(our_comment(1).as_str());
    let state = StateDir::at(real.directory.path().join("own")).unwrap();
    state.write("key", own.to_openssh(LineEnding::LF).unwrap().as_bytes()).unwrap();
    real.ssh_add(&["-q", state.path().join("key").to_str().unwrap()]);
    let mut agent = real.connect();
    assert_eq!(agent.list().unwrap().len(), 1);
    assert!(agent.ours(&[public_line(&ca(1))]).unwrap().is_empty());
}

#[test]
fn a_locked_agent_refuses_and_nothing_is_added_without_a_lifetime() {
    let listener = std::os::unix::net::UnixListener::bind(tempfile::tempdir().unwrap().keep().join("a")).unwrap();
    let path = listener.local_addr().unwrap().as_pathname().unwrap().to_owned();
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut kinds = Vec::new();
        let mut length = [0; 4];
        while stream.read_exact(&mut length).is_ok() {
            let mut message = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
            stream.read_exact(&mut message).unwrap();
            kinds.push(message[0]);
            stream.write_all(&[0, 0, 0, 1, 5]).unwrap();
        }
        kinds
    });
    let key = UserKey::fresh().unwrap();
    let added = Agent::at(path).unwrap().add(&certificate(&ca(1), &key, &our_key_id(1)), &key, &our_comment(1), 300);
    assert!(matches!(added, Err(AgentError::Refused(_))));
    assert_eq!(heard.join().unwrap(), [25], "one constrained try, no second one without constraints");
}

#[test]
fn an_agent_that_lies_about_lengths_is_refused() {
    for answer in [&[0xff, 0xff, 0xff, 0xff][..], &[0, 0, 0, 0], &[0, 0, 0, 5, 12, 0xff, 0xff, 0xff, 0xff]] {
        let listener = std::os::unix::net::UnixListener::bind(tempfile::tempdir().unwrap().keep().join("a")).unwrap();
        let path = listener.local_addr().unwrap().as_pathname().unwrap().to_owned();
        let answer = answer.to_vec();
        let liar = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; 5]).unwrap();
            stream.write_all(&answer).unwrap();
        });
        assert!(matches!(Agent::at(path).unwrap().list(), Err(AgentError::Garbled)));
        liar.join().unwrap();
    }
}

#[test]
fn comments_come_back() {
    assert_eq!(parse_comment(&our_comment(1)), Some((grant(1), target())));
    for other in [
        "",
        "jit-ssh",
        "jit-ssh grant=g-1 target=deploy@web-1 until=2026-01-01T00:00:00Z",
        &our_comment(1).replace("web-1", "we b"),
        &our_comment(1).replace("until=", "until=soon"),
        &our_comment(1).replace("jit-ssh ", "jit-ssh  "),
    ] {
        assert_eq!(parse_comment(other), None, "{other}");
    }
}

proptest! {
    #[test]
    fn no_answer_makes_us_panic(answer in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Some(list) = wire::parse_list(&answer) {
            for entry in list {
                prop_assert!(Ours::recognise(entry, &[]).is_none());
            }
        }
    }

    #[test]
    fn no_list_makes_us_panic(count in any::<u32>(), rest in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut answer = vec![12];
        answer.extend(count.to_be_bytes());
        answer.extend(&rest);
        if let Some(list) = wire::parse_list(&answer) {
            prop_assert!(list.len() <= rest.len() / 8);
        }
    }

    #[test]
    fn no_comment_makes_us_panic(text in ".{0,80}", tail in ".{0,80}") {
        prop_assert_eq!(parse_comment(&text), None);
        parse_comment(&format!("jit-ssh grant={text} target={tail} until={text}"));
    }
}
