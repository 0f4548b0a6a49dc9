//! How long one decision takes at 10, 100, 1,000 and 10,000 policies. Run with `--release`.

use policy::{Ask, Decision, Identity, Kind, Now, Policies, Source, Sources, UnixTime, decide};
use std::{error::Error, fmt::Write as _, hint::black_box, time::Instant};

fn main() -> Result<(), Box<dyn Error>> {
    for count in [10, 100, 1_000, 10_000] {
        let started = Instant::now();
        let sources = sources(count)?;
        let policies = Policies::load(&sources).map_err(|findings| format!("{findings:?}"))?;
        let load = started.elapsed();
        let (ask, now) = (ask()?, Now { time: UnixTime::from_secs(1_772_625_600), weekday: 3, minute: 720 });
        if !matches!(decide(&policies, &ask, now), Decision::Granted(_)) {
            return Err("the ask is not granted".into());
        }
        let rounds = 20_000u32;
        let mut best = f64::MAX;
        for _ in 0..5 {
            let started = Instant::now();
            for _ in 0..rounds {
                black_box(decide(black_box(&policies), black_box(&ask), now));
            }
            best = best.min(started.elapsed().as_secs_f64() / f64::from(rounds) * 1e6);
        }
        println!("{count:>6} policies: {best:6.2} µs a decision, loaded in {:.0} ms", load.as_secs_f64() * 1e3);
    }
    Ok(())
}

/// One team a policy, 100 host groups, a forbid for root, 100 hosts.
fn sources(count: usize) -> Result<Sources, std::fmt::Error> {
    let (mut groups, mut hosts) = (String::new(), String::new());
    for n in 0..100 {
        writeln!(groups, "[[group]]\nname = \"g{n}\"")?;
        writeln!(
            hosts,
            "[[host]]\nname = \"h{n}\"\ngroups = [\"g{n}\"]\naccounts = [\"deploy\", \"root\"]\nlabels = {{ env = \"prod\" }}"
        )?;
    }
    let mut text = String::from(
        "@id(\"no-root\") forbid (principal, action == Action::\"connect\", resource is Account) when { resource.name == \"root\" };\n",
    );
    for n in 1..count {
        writeln!(
            text,
            "@id(\"team-{n}\") @max_duration(\"1h\") permit (principal in Group::\"team-{n}\", action == Action::\"connect\", \
             resource in HostGroup::\"g{}\") when {{ context.mfa && context.auth_age < 36000 }};",
            n % 100
        )?;
    }
    let source = |name: &str, text| Source { name: name.into(), text };
    Ok(Sources {
        policies: vec![source("p.cedar", text)],
        hosts: Some(source("hosts.toml", hosts)),
        groups: Some(source("groups.toml", groups)),
        tests: Vec::new(),
    })
}

fn ask() -> Result<Ask, Box<dyn Error>> {
    let groups = ["everybody", "team-5", "team-6", "team-7", "vpn"];
    Ok(Ask {
        identity: Identity {
            kind: Kind::User,
            issuer: "https://issuer.example.com".parse()?,
            subject: "00u1abcd".parse()?,
            email: Some("ann@example.com".parse()?),
            groups: groups.iter().map(|group| group.parse()).collect::<Result<_, _>>()?,
            amr: vec!["pwd".into(), "otp".into()],
            acr: None,
            mfa: true,
            auth_time: Some(UnixTime::from_secs(1_772_625_000)),
            claims: Vec::new(),
        },
        target: "deploy@h5".parse()?,
        duration: None,
        reason: Some("looking".parse()?),
        ticket: None,
        source: std::net::IpAddr::from([192, 0, 2, 1]),
    })
}
