//! Form and header: what a token may not be made of, however genuine its signature.

use aws_lc_rs::hmac;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// The texts that naive verifiers have taken for an HMAC secret: a public key in each of its spellings.
fn spellings(public: &Value) -> Vec<Vec<u8>> {
    let decode = |member: &str| URL_SAFE_NO_PAD.decode(public[member].as_str().unwrap()).unwrap();
    let (prefix, raw) = match public["kty"].as_str() {
        Some("OKP") => (&b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"[..], decode("x")),
        _ => (
            &b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00"[..],
            [&[4][..], &decode("x"), &decode("y")].concat(),
        ),
    };
    let der = [prefix, &raw].concat();
    let base64 = STANDARD.encode(&der);
    let lines = base64.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", lines.join("\n"));
    let texts = [
        format!("{pem}\n"),
        format!(" {pem}"),
        format!("{pem}\r\n").replace('\n', "\r\n"),
        base64,
        public.to_string(),
        json!({ "keys": [public] }).to_string(),
        public["x"].as_str().unwrap().to_owned(),
        pem,
    ];
    texts.map(String::into_bytes).into_iter().chain([der, raw, Vec::new()]).collect()
}

#[test]
fn no_spelling_of_the_public_key_is_an_hmac_secret() {
    for algorithm in [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256] {
        let world = World::new(algorithm);
        let public = serde_json::to_value(&world.keys.public()[0]).unwrap();
        for secret in spellings(&public) {
            for alg in ["HS256", "hs256", algorithm.as_str()] {
                let header = with(&world.header(), "alg", alg.into());
                let signed = encoded(header.to_string().as_bytes(), claims().to_string().as_bytes());
                let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), signed.as_bytes());
                let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag));
                world.assert_invalid(&token, &format!("{alg} by {}", String::from_utf8_lossy(&secret)));
            }
        }
    }
}

#[test]
fn a_token_without_signature_is_refused() {
    for algorithm in ALL {
        let world = World::new(algorithm);
        for alg in ["none", "nOnE", "NONE", "None", "", algorithm.as_str()] {
            let header = with(&world.header(), "alg", alg.into());
            for header in [header.clone(), without(&header, "kid")] {
                let signed = encoded(header.to_string().as_bytes(), claims().to_string().as_bytes());
                for signature in ["", "AA", "AAAA", &"A".repeat(86)] {
                    world.assert_invalid(&format!("{signed}.{signature}"), alg);
                }
                world.assert_invalid(&signed, alg);
            }
        }
    }
}

#[test]
fn the_right_secret_under_another_hash_is_refused() {
    let world = World::new(SigningAlgorithm::Hs256);
    let secret = ServerSecret::new(SECRET).unwrap().derive("access token HS256", 0);
    let token = |alg: &str, hash: hmac::Algorithm| {
        let header = with(&world.header(), "alg", alg.into());
        let signed = encoded(header.to_string().as_bytes(), claims().to_string().as_bytes());
        let tag = hmac::sign(&hmac::Key::new(hash, &*secret), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    assert!(world.at(NOW, &token("HS256", hmac::HMAC_SHA256)).is_ok(), "the secret is the right one");
    world.assert_invalid(&token("HS384", hmac::HMAC_SHA384), "HS384");
    world.assert_invalid(&token("HS512", hmac::HMAC_SHA512), "HS512");
    world.assert_invalid(&token("HS256", hmac::HMAC_SHA384), "SHA-384 under the name of HS256");
}

#[test]
fn each_member_of_the_header_has_one_value() {
    for algorithm in ALL {
        let world = World::new(algorithm);
        let good = world.header();
        let others =
            ["none", "HS256", "HS384", "ES256", "ES256K", "EdDSA", "eddsa", "es256", "Ed25519", "RS256", ""];
        let others = others.into_iter().filter(|other| *other != algorithm.as_str());
        let hostile = others.map(|other| ("alg", json!(other)));
        let hostile = hostile.chain(
            [
                "",
                "JWT",
                "rt+jwt",
                "jwt",
                "at+jwt ",
                " at+jwt",
                "at+jwt;v=1",
                "application/rt+jwt",
                "text/at+jwt",
                "application/application/at+jwt",
                "/at+jwt",
                "at+jwt\u{200b}",
                "at jwt",
                "dpop+jwt",
                "JOSE",
            ]
            .map(|typ| ("typ", json!(typ))),
        );
        let hostile =
            hostile.chain(["", "unknown", "../../dev/null", "' OR 1=1 --"].map(|kid| ("kid", json!(kid))));
        let kid = good["kid"].as_str().unwrap();
        let hostile =
            hostile.chain([("kid", json!(format!("{kid} "))), ("kid", json!(kid.to_ascii_uppercase()))]);
        let wrong_types = [json!(null), json!(5), json!(true), json!([]), json!({}), json!([kid])];
        let hostile = hostile.chain(
            ["alg", "typ", "kid"].into_iter().flat_map(|name| wrong_types.clone().map(|value| (name, value))),
        );
        for (name, value) in hostile {
            let token = world.with_header(&with(&good, name, value.clone()));
            world.assert_invalid(&token, &format!("{name}: {value}"));
        }
        for name in ["alg", "typ", "kid"] {
            world.assert_invalid(&world.with_header(&without(&good, name)), name);
        }
    }
}

#[test]
fn the_type_is_compared_like_a_media_type() {
    let world = World::new(SigningAlgorithm::EdDsa);
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
        assert!(
            world.at(NOW, &world.with_header(&with(&world.header(), "typ", typ.into()))).is_ok(),
            "{typ}"
        );
    }
}

#[test]
fn keys_extensions_and_encryption_in_the_header_are_refused() {
    let world = World::new(SigningAlgorithm::EdDsa);
    let own = serde_json::to_value(&world.keys.public()[0]).unwrap();
    for (name, value) in [
        ("jwk", own),
        ("jwk", json!({})),
        ("jku", json!("https://attacker.example/jwks.json")),
        ("x5u", json!("https://attacker.example/chain.pem")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("x5t#S256", json!("AAAA")),
        ("crit", json!([])),
        ("crit", json!(["exp"])),
        ("crit", json!(["b64"])),
        ("crit", json!(null)),
        ("b64", json!(true)),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("cty", json!("JWT")),
        ("exp", json!(NOW)),
        ("p2c", json!(2_147_483_647)),
        ("anything", json!(null)),
    ] {
        world.assert_invalid(&world.with_header(&with(&world.header(), name, value)), name);
    }
}

#[test]
fn a_member_named_twice_is_refused_in_header_and_claims_at_any_depth() {
    let world = World::new(SigningAlgorithm::EdDsa);
    let (header, claims) = (world.header().to_string(), claims().to_string());
    let with_member =
        |object: &str, member: &str| format!("{},{member}}}", object.strip_suffix('}').unwrap());
    for member in [r#""alg":"EdDSA""#, r#""typ":"at+jwt""#, r#""al\u0067":"EdDSA""#, r#""kid":"other""#] {
        world.assert_invalid(&world.token(&with_member(&header, member), &claims), member);
    }
    for member in [
        r#""iss":"issuer""#,
        r#""aud":"api""#,
        r#""s\u0075b":"00000000-0000-0000-0000-000000000009""#,
        r#""exp":1800001800"#,
        r#""roles":["administrator"]"#,
        r#""tenant":1,"tenant":1"#,
        r#""tenant":1,"ten\u0061nt":2"#,
        r#""host":{"plan":"free","plan":"paid"}"#,
        r#""host":[0,{"deep":[{"a":1,"a":2}]}]"#,
    ] {
        world.assert_invalid(&world.token(&header, &with_member(&claims, member)), member);
    }
    let once = with_member(&claims, r#""host":{"plan":"free"},"other":{"plan":"paid"}"#);
    assert_eq!(world.at(NOW, &world.token(&header, &once)).unwrap().get("host").unwrap()["plan"], "free");
}

#[test]
fn what_is_not_utf8_or_not_an_object_is_refused() {
    let world = World::new(SigningAlgorithm::EdDsa);
    let (header, claims) = (world.header().to_string().into_bytes(), claims().to_string().into_bytes());
    let latin1 = [&claims[..claims.len() - 1], b",\"name\":\"Andr\xe9\"}"].concat();
    let overlong = [&claims[..claims.len() - 1], b",\"name\":\"\xc0\xaf\"}"].concat();
    let surrogate = [&claims[..claims.len() - 1], br#","name":"\ud800"}"#].concat();
    let nul = [&claims[..claims.len() - 1], br#","name":"\u0000"}"#].concat();
    let bom = |bytes: &[u8]| [b"\xef\xbb\xbf", bytes].concat();
    let array = [b"[", &claims[..], b"]"].concat();
    for hostile in
        [&latin1, &overlong, &surrogate, &nul, &bom(&claims), &array, &b"null".to_vec(), &b"{}".to_vec()]
    {
        world.assert_invalid(&world.token_of_bytes(&header, hostile), &String::from_utf8_lossy(hostile));
    }
    // What a lenient reader takes for a struct of three members.
    let fields = ["alg", "typ", "kid"].map(|name| world.header()[name].clone());
    let listed = json!(fields).to_string().into_bytes();
    for hostile in [listed, bom(&header), [&header[..], b" x"].concat(), [&header[..], &header[..]].concat()]
    {
        world.assert_invalid(&world.token_of_bytes(&hostile, &claims), &String::from_utf8_lossy(&hostile));
    }
}
