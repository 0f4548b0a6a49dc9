//! Certificates that the server issued, for every type of key it certifies, presented to stock sshd: on the right host and
//! account, on others, at a host with another CA, and after their serial was revoked.

use anyhow::{Context as _, Result, ensure};
use api::{CertificateRequest, CertificateResponse, paths, signature};
use e2e::kit::{
    caller::Caller,
    keygen::{self, ssh_keygen},
    server::AUDIENCE,
    ssh::Ssh,
    sshd::Sshd,
    world::World,
};
use std::{fs, path::Path};

const NO_PRINCIPAL: &str = "does not contain an authorized principal";

#[tokio::test]
async fn every_type_of_key_opens_its_own_door_and_no_other() -> Result<()> {
    let world = World::new().await?;
    let (first, dir) = (&world.accounts.first, world.path());
    let alice = Caller::login(&world.server, &world.idp, "alice").await?;
    // A host of somebody else's, with the same accounts and names.
    let elsewhere = dir.join("elsewhere");
    fs::create_dir(&elsewhere)?;
    let other_ca = keygen::key(&elsewhere.join("ca"), "ed25519").await?;
    let stranger = Sshd::start(&elsewhere, "web-1", &other_ca, &[first]).await?;
    let ssh = Ssh::knowing(dir, &[&world.web, &world.db])?;
    let ssh_elsewhere = Ssh::knowing(&elsewhere, &[&stranger])?;

    for kind in ["ed25519", "ecdsa:256", "ecdsa:384", "ecdsa:521", "rsa:3072", "rsa:4096"] {
        let key = dir.join(kind.replace(':', "-"));
        let issued = certified(&world, &alice, &key, kind).await.with_context(|| kind)?;
        let own = ssh.clone().key(&key);
        own.login(first, &world.web, "true").await?.must_be_in().with_context(|| kind)?;
        own.login(first, &world.db, "true").await?.must_be_out(NO_PRINCIPAL).with_context(|| kind)?;
        if let Some(second) = &world.accounts.second {
            own.login(second, &world.web, "true").await?.must_be_out(NO_PRINCIPAL).with_context(|| kind)?;
        }
        let abroad = ssh_elsewhere.clone().key(&key).login(first, &stranger, "true").await?;
        abroad.must_be_out("-CERT").with_context(|| kind)?;

        let shown = ssh_keygen(["-L".as_ref(), "-f".as_ref(), keygen::certificate(&key).as_path()]).await?;
        for line in [format!("Serial: {}", issued.serial), world.target(), "permit-pty".to_owned()] {
            ensure!(shown.contains(&line), "{kind}: no {line} in {shown}");
        }
        ensure!(shown.contains("user certificate") && shown.contains("Critical Options: (none)"), "{kind}: {shown}");
        for absent in ["permit-port-forwarding", "permit-agent-forwarding", "permit-X11-forwarding", "permit-user-rc"] {
            ensure!(!shown.contains(absent), "{kind}: {absent} in {shown}");
        }

        world.web.revoke(&[issued.serial.get()]).await?;
        own.login(first, &world.web, "true").await?.must_be_out("revoked by file").with_context(|| kind)?;
    }
    Ok(())
}

/// Two certificates are never alike, not even for the same key and target.
#[tokio::test]
async fn serials_nonces_and_grants_never_repeat() -> Result<()> {
    let world = World::new().await?;
    let alice = Caller::login(&world.server, &world.idp, "alice").await?;
    let key = ssh_key::PrivateKey::from(ssh_key::private::Ed25519Keypair::from_seed(&[7; 32]));
    let request = serde_json::to_vec(&alice.certificate_request(&world.target(), &key)?)?;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let answer = alice.ask(&world.server, "POST", paths::CERTIFICATES, &request).await?;
        let issued = answer.good::<CertificateResponse>()?;
        let certificate = ssh_key::Certificate::from_openssh(&issued.certificate)?;
        ensure!(certificate.serial() == issued.serial.get() && certificate.serial() >> 63 == 0, "{issued:?}");
        let fresh = [issued.serial.to_string(), issued.grant.to_string(), format!("{:?}", certificate.nonce())];
        ensure!(fresh.into_iter().all(|one| seen.insert(one)), "seen before: {issued:?}");
    }
    Ok(())
}

/// A key made, proven and certified by nothing but ssh-keygen and the API, as PROTOCOL.md says.
async fn certified(world: &World, alice: &Caller, key: &Path, kind: &str) -> Result<CertificateResponse> {
    let public = keygen::key(key, kind).await?;
    let text = key.with_extension("text");
    fs::write(&text, signature::user_key_proof(AUDIENCE, &alice.session))?;
    let sign = ["-q", "-Y", "sign", "-n", signature::USER_KEY_NAMESPACE, "-f"].map(std::ffi::OsString::from);
    ssh_keygen(sign.into_iter().chain([key.into(), text.clone().into()])).await?;
    let mut proof = text.into_os_string();
    proof.push(".sig");
    let request = CertificateRequest {
        target: world.target().parse()?,
        public_key: public,
        proof: Some(fs::read_to_string(proof)?),
        duration: None,
        reason: None,
        ticket: None,
    };
    let answer = alice.ask(&world.server, "POST", paths::CERTIFICATES, &serde_json::to_vec(&request)?).await?;
    let issued = answer.good::<CertificateResponse>()?;
    fs::write(keygen::certificate(key), format!("{}\n", issued.certificate))?;
    Ok(issued)
}
