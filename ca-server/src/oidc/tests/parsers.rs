//! Whatever a stranger sends, parsing ends, and ends in a value or a refusal.

use crate::oidc::{claims::at_path, jwks::Keys, strict_json, token::UnverifiedToken};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Map, Value};

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn tokens_of_any_text(text in any::<String>()) {
        let _either = UnverifiedToken::parse(&text).is_ok();
    }

    #[test]
    fn tokens_of_any_bytes_in_their_parts(header in any::<Vec<u8>>(), payload in any::<Vec<u8>>(), signature in ".{0,90}") {
        let text = format!("{}.{}.{signature}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let _either = UnverifiedToken::parse(&text).is_ok();
    }

    #[test]
    fn tokens_of_any_json_in_their_parts(header in json(), payload in json()) {
        let text = format!("{}.{}.AA", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload.to_string()));
        let _either = UnverifiedToken::parse(&text).is_ok();
    }

    #[test]
    fn key_sets_of_any_bytes(bytes in any::<Vec<u8>>()) {
        let _either = Keys::parse(&bytes).is_ok();
    }

    #[test]
    fn key_sets_of_any_json(keys in prop::collection::vec(json(), 0..5)) {
        let set = serde_json::json!({ "keys": keys });
        let _either = Keys::parse(set.to_string().as_bytes()).is_ok();
    }

    #[test]
    fn strict_json_reads_what_json_says(value in json()) {
        let text = serde_json::json!({ "value": value }).to_string();
        let read = strict_json::object(text.as_bytes()).unwrap();
        prop_assert_eq!(Value::Object(read), serde_json::from_str::<Value>(&text).unwrap());
    }

    #[test]
    fn strict_json_reads_no_name_twice(name in "[a-z]{1,6}", one in json(), two in json()) {
        let name = Value::from(name);
        let text = format!("{{{name}:{one},\"between\":0,{name}:{two}}}");
        prop_assert!(strict_json::object(text.as_bytes()).is_none());
        let nested = format!("{{\"a\":[{text}]}}");
        prop_assert!(strict_json::object(nested.as_bytes()).is_none());
    }

    #[test]
    fn paths_of_any_text(claims in json(), name in ".{0,20}") {
        if let Value::Object(claims) = claims {
            let _either = at_path(&claims, &name).is_some();
        }
    }
}
