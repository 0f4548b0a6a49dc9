use super::DOCUMENT;
use crate::http::{Need, ROUTES};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn document() -> Value {
    serde_json::from_str(DOCUMENT).unwrap()
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let document = document();
    let described: BTreeSet<(String, String, bool)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| methods.as_object().unwrap().iter().map(move |method| (path, method)))
        .map(|(path, (method, operation))| (path.clone(), method.to_uppercase(), operation["security"] != json!([])))
        .collect();
    let served: BTreeSet<_> = ROUTES
        .iter()
        .map(|route| (route.path.to_owned(), route.method.to_string(), route.need == Need::Login))
        .collect();
    assert_eq!(described, served);
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut references = DOCUMENT.split("\"$ref\": \"#").skip(1).map(|rest| rest.split('"').next().unwrap());
    assert!(references.clone().count() > 30);
    assert!(references.all(|pointer| document.pointer(pointer).is_some()));
}

#[test]
fn every_code_is_described() {
    let document = document();
    let described = document.pointer("/components/schemas/Error/properties/error/properties/code/enum").unwrap();
    for code in described.as_array().unwrap() {
        let known: api::Code = serde_json::from_value(code.clone()).unwrap();
        assert_ne!(known, api::Code::Unknown, "{code}");
    }
    assert_eq!(described.as_array().unwrap().len(), crate::http::metrics::CODES.len());
}

/// What the types write must be what the document lists: the same names, and no required one missing.
#[test]
fn the_types_write_what_is_described() {
    let schemas = &document()["components"]["schemas"];
    let session = api::SessionEntry {
        session: "s-00112233445566778899aabb".parse().unwrap(),
        identity: (&crate::fixture::identity("ann")).into(),
        started: crate::fixture::NOW,
        used: crate::fixture::NOW,
        expires: crate::fixture::NOW,
        idle_seconds: 1,
        source: "192.0.2.1".parse().unwrap(),
        current: true,
    };
    let decision = policy::decide(
        &crate::fixture::policies(crate::fixture::POLICY),
        &crate::fixture::ask("deploy@db-1"),
        policy::Now { time: crate::fixture::NOW, weekday: 1, minute: 0 },
    );
    let receipt = api::Receipt {
        requests: Vec::new(),
        sessions: 0,
        serials: Vec::new(),
        last_expiry: Some(crate::fixture::NOW),
        krl: Some(1),
        hint: Some(String::new()),
    };
    let freeze = api::FreezeBody {
        id: policy::FreezeId::from_random([1; 12]),
        frozen: policy::Frozen::holder(&crate::fixture::identity("ann"), &[]),
        at: crate::fixture::NOW,
        by: Some(String::new()),
        reason: Some("r".parse().unwrap()),
        thawed_by: vec![String::new()],
        thawed: true,
        live: Some(1),
        last_expiry: Some(crate::fixture::NOW),
    };
    let id: policy::RequestId = "r-00112233445566778899aabb".parse().unwrap();
    let before = api::Before {
        id: id.clone(),
        targets: Vec::new(),
        filed: crate::fixture::NOW,
        stage: policy::Stage::Over { how: policy::Over::Done },
        used: Some(crate::fixture::NOW),
        last_expiry: Some(crate::fixture::NOW),
        incident: Some("INC-1".parse().unwrap()),
    };
    let extension = api::Extension {
        id: id.clone(),
        duration: policy::Seconds::MAX,
        stage: policy::Stage::Added { at: crate::fixture::NOW },
    };
    let request = api::RequestBody {
        id: Some(id.clone()),
        grant: Some(id.grant()),
        digest: String::new(),
        version: 1,
        requester: session.identity.clone(),
        targets: Vec::new(),
        duration: policy::Seconds::MAX,
        reason: Some("r".parse().unwrap()),
        ticket: Some("t".parse().unwrap()),
        start: Some(crate::fixture::NOW),
        under: Some("p".parse().unwrap()),
        extends: Some(id),
        extensions: vec![extension.clone()],
        incident: Some("INC-1".parse().unwrap()),
        review: Some(policy::Review::Open { due: crate::fixture::NOW }),
        used_before: vec![before.clone()],
        filed: crate::fixture::NOW,
        stage: policy::Stage::Over { how: policy::Over::Done },
        offers: vec![api::Offer {
            target: "a@b".parse().unwrap(),
            offers: Vec::new(),
            approver_groups: Vec::new(),
            unmet: Vec::new(),
            further: api::DecisionBody::from(&decision).terms.into_iter().collect(),
        }],
        steps: Vec::new(),
        may_review: true,
    };
    let samples = [
        ("Receipt", serde_json::to_value(&receipt).unwrap()),
        ("Freeze", serde_json::to_value(&freeze).unwrap()),
        ("Request", serde_json::to_value(&request).unwrap()),
        ("Extension", serde_json::to_value(&extension).unwrap()),
        ("Before", serde_json::to_value(&before).unwrap()),
        ("Offer", serde_json::to_value(&request.offers[0]).unwrap()),
        ("Identity", serde_json::to_value(&session.identity).unwrap()),
        ("SessionEntry", serde_json::to_value(&session).unwrap()),
        ("Decision", serde_json::to_value(api::DecisionBody::from(&decision)).unwrap()),
    ];
    for (name, value) in samples {
        let schema = &schemas[name];
        for field in value.as_object().unwrap().keys() {
            assert!(schema["properties"].get(field).is_some(), "{name}.{field} is not described");
        }
        for field in schema["required"].as_array().unwrap() {
            assert!(value.get(field.as_str().unwrap()).is_some(), "{name}.{field} is required and was not written");
        }
    }
}
