//! E-mail addresses: one canonical form per mailbox, and no two mailboxes with the same one.
//!
//! The shape is `dot-atom@domain` (RFC 5322 §3.4.1, RFC 6531 for letters beyond ASCII): no quoted local part, no
//! comment, no address literal. What differs only in ways that every mail system ignores (Unicode normalisation form,
//! ASCII case, U-label or A-label) has one canonical form; anything that a looser comparison would fold as well
//! (full-width letters, ligatures, invisible characters, look-alike dots) is refused instead of folded, because folding is
//! how one address takes over the account of another.

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use unicode_normalization::char::is_combining_mark;
use unicode_normalization::{UnicodeNormalization, is_nfkc};

/// The longest address in bytes: a forward-path is 256 with its angle brackets (RFC 5321 §4.5.3.1.3).
const MAX_BYTES: usize = 254;
/// The longest local part in bytes (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL_BYTES: usize = 64;
/// What `atext` allows besides letters and digits (RFC 5322 §3.2.3).
const ATEXT_SPECIALS: &str = "!#$%&'*+-/=?^_`{|}~";

/// A valid e-mail address, as it was typed and in the form that identifies the account.
///
/// Two addresses are the same account exactly if their canonical forms are equal. The domain needs a dot, because mail to
/// a bare top-level name reaches nobody; `localhost` alone is exempt, for development.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Email {
    typed: String,
    canonical: String,
}

/// Why a text is not an e-mail address this library accepts. The message is fit for a client; it never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidEmail {
    /// Longer than 254 bytes, as typed or with its domain in ASCII, or a local part over 64 bytes.
    #[error("the e-mail address is too long")]
    TooLong,
    /// No `@`, or more than one.
    #[error("an e-mail address has exactly one @")]
    At,
    /// A space, a control, an invisible or compatibility character, or one with another meaning in an address.
    #[error("the e-mail address contains a character that is not allowed")]
    Character,
    /// The part before the `@` is empty, or a dot stands at its start, its end or beside another.
    #[error("the part of the e-mail address before the @ is not valid")]
    LocalPart,
    /// The part after the `@` is not a domain name.
    #[error("the part of the e-mail address after the @ is not a domain name")]
    Domain,
}

impl Email {
    /// Reads an address. Nothing is trimmed: a space at either end is refused like one inside.
    ///
    /// The canonical form is NFC with ASCII letters in lower case and the domain as A-labels (UTS #46, RFC 5890). The
    /// case of other letters in the local part is kept, since lower-casing them can join two addresses.
    ///
    /// # Errors
    ///
    /// [`InvalidEmail`] says which part is at fault.
    pub(crate) fn parse(typed: &str) -> Result<Self, InvalidEmail> {
        if typed.len() > MAX_BYTES {
            return Err(InvalidEmail::TooLong);
        }
        if typed.chars().any(normalizes_into_ascii) {
            return Err(InvalidEmail::Character);
        }
        let normal = normalize(typed);
        let (local, domain) = normal.split_once('@').ok_or(InvalidEmail::At)?;
        if domain.contains('@') {
            return Err(InvalidEmail::At);
        }
        if !is_nfkc(&normal) {
            return Err(InvalidEmail::Character);
        }
        check_local_part(local)?;
        let canonical = format!("{local}@{}", canonical_domain(domain)?);
        if canonical.len() > MAX_BYTES {
            return Err(InvalidEmail::TooLong);
        }
        Ok(Self { typed: typed.to_owned(), canonical })
    }

    /// The address as it was typed, byte for byte: for showing and for sending mail.
    pub(crate) fn typed(&self) -> &str {
        &self.typed
    }

    /// The form that identifies the account.
    pub(crate) fn canonical(&self) -> &str {
        &self.canonical
    }
}

/// NFC with ASCII letters in lower case, and NFC again: some lower-case letters alone have a composed form (`J̌` but `ǰ`).
fn normalize(typed: &str) -> String {
    typed.nfc().collect::<String>().to_ascii_lowercase().nfc().collect()
}

/// Whether NFC makes an ASCII character of this one, as it does of the Kelvin sign.
fn normalizes_into_ascii(c: char) -> bool {
    !c.is_ascii() && c.nfc().all(|normal| normal.is_ascii())
}

fn check_local_part(local: &str) -> Result<(), InvalidEmail> {
    if local.len() > MAX_LOCAL_BYTES {
        return Err(InvalidEmail::TooLong);
    }
    if !local.chars().all(|c| c == '.' || ATEXT_SPECIALS.contains(c) || is_letter_or_digit(c)) {
        return Err(InvalidEmail::Character);
    }
    if local.split('.').any(str::is_empty) {
        return Err(InvalidEmail::LocalPart);
    }
    Ok(())
}

/// The domain in ASCII. UTS #46 maps before it splits into labels, so what it would map into a dot is refused first.
fn canonical_domain(domain: &str) -> Result<String, InvalidEmail> {
    if !domain.chars().all(|c| c == '.' || c == '-' || is_letter_or_digit(c)) {
        return Err(InvalidEmail::Character);
    }
    let ascii = Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
        .map_err(|_| InvalidEmail::Domain)?;
    let is_mail_domain = match ascii.rsplit_once('.') {
        // A numeric last label would be an IPv4 address (RFC 3696 §2).
        Some((_, last)) => !last.bytes().all(|byte| byte.is_ascii_digit()),
        None => ascii == "localhost",
    };
    if is_mail_domain { Ok(ascii.into_owned()) } else { Err(InvalidEmail::Domain) }
}

/// The letters, digits and marks of every script: `LetterDigits` of RFC 8264 §9.1, and by that no symbol, no separator and
/// nothing invisible.
fn is_letter_or_digit(c: char) -> bool {
    (c.is_alphanumeric() || is_combining_mark(c)) && !is_invisible_mark(c)
}

/// Marks and letters that show nothing (`Default_Ignorable_Code_Point`): joiners, fillers and variation selectors.
fn is_invisible_mark(c: char) -> bool {
    matches!(c,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(typed: &str) -> String {
        Email::parse(typed).unwrap_or_else(|error| panic!("{typed:?}: {error}")).canonical
    }

    #[test]
    fn canonical_forms() {
        for (typed, expected) in [
            ("alice@example.com", "alice@example.com"),
            ("Alice.Smith@EXAMPLE.Com", "alice.smith@example.com"),
            ("a@b.co", "a@b.co"),
            ("user+tag@example.com", "user+tag@example.com"),
            ("!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com"),
            ("1@2.example", "1@2.example"),
            ("root@localhost", "root@localhost"),
            ("a@r3---sn.example", "a@r3---sn.example"),
            ("a@bücher.example", "a@xn--bcher-kva.example"),
            ("a@BÜCHER.example", "a@xn--bcher-kva.example"),
            ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
            ("a@XN--BCHER-KVA.example", "a@xn--bcher-kva.example"),
            ("a@faß.example", "a@xn--fa-hia.example"),
            ("jos\u{e9}@example.com", "jos\u{e9}@example.com"),
            ("jose\u{301}@example.com", "jos\u{e9}@example.com"),
            ("J\u{30c}@example.com", "\u{1f0}@example.com"),
            ("用户@例子.公司", "用户@xn--fsqu00a.xn--55qx5d"),
            ("उपयोगकर्ता@example.com", "उपयोगकर्ता@example.com"),
        ] {
            assert_eq!(canonical(typed), expected, "{typed}");
            assert_eq!(Email::parse(typed).unwrap().typed(), typed);
        }
    }

    #[test]
    fn refused_addresses() {
        use InvalidEmail::{At, Character, Domain, LocalPart};
        for (typed, expected) in [
            ("", At),
            ("alice", At),
            ("@", LocalPart),
            ("@example.com", LocalPart),
            ("alice@", Domain),
            ("a@b@example.com", At),
            ("\"a@b\"@example.com", At),
            ("\"a b\"@example.com", Character),
            ("alice(comment)@example.com", Character),
            ("alice@example.com(comment)", Character),
            ("Alice <alice@example.com>", Character),
            ("a@example.com,b", Character),
            (".alice@example.com", LocalPart),
            ("alice.@example.com", LocalPart),
            ("al..ice@example.com", LocalPart),
            (" alice@example.com", Character),
            ("alice@example.com ", Character),
            ("al ice@example.com", Character),
            ("alice@example.com\n", Character),
            ("alice\0@example.com", Character),
            ("alice\u{7f}@example.com", Character),
            ("alice\u{85}@example.com", Character),
            ("alice\u{a0}@example.com", Character),
            ("alice@exa_mple.com", Character),
            ("alice@example", Domain),
            ("alice@.example.com", Domain),
            ("alice@example..com", Domain),
            ("alice@example.com.", Domain),
            ("alice@-example.com", Domain),
            ("alice@example-.com", Domain),
            ("alice@xn--a.example", Domain),
            ("alice@127.0.0.1", Domain),
            ("alice@[127.0.0.1]", Character),
            ("alice@[IPv6:::1]", Character),
            ("alice@example.com:25", Character),
        ] {
            assert_eq!(Email::parse(typed).unwrap_err(), expected, "{typed:?}");
        }
    }

    #[test]
    fn characters_that_a_looser_comparison_would_fold_are_refused() {
        for typed in [
            "alice\u{ff20}example.com",   // full-width @
            "alice\u{fe6b}example.com",   // small @
            "a\u{ff20}b@example.com",     // full-width @ beside a real one
            "alice@example\u{3002}com",   // ideographic full stop
            "alice@example.a\u{3002}com", // the same beside a real dot
            "alice@example\u{ff0e}com",   // full-width full stop
            "alice@example.a\u{ff61}com", // half-width ideographic full stop
            "alice@example.a\u{2024}com", // one dot leader
            "al\u{ff0e}ice@example.com",  // a look-alike dot in the local part
            "al\u{3002}ice@example.com",  // the same
            "\u{ff41}lice@example.com",   // full-width a
            "alice@\u{ff45}xample.com",   // full-width e
            "of\u{fb01}ce@example.com",   // ligature fi
            "mi\u{212a}e@example.com",    // Kelvin sign, k for NFC and lower case
            "alice@\u{212a}.example",     // the same
            "alice\u{1fef}@example.com",  // Greek varia, ` for NFC
            "ali\u{200b}ce@example.com",  // zero width space
            "alice@exam\u{ad}ple.com",    // soft hyphen
            "alice@exam\u{200d}ple.com",  // zero width joiner
            "alice\u{fe0f}@example.com",  // variation selector
            "alice\u{34f}@example.com",   // combining grapheme joiner
            "\u{202e}alice@example.com",  // right-to-left override
            "\u{feff}alice@example.com",  // byte order mark
            "alice@example.\u{2100}.com", // account of, a/c for NFKC
        ] {
            assert!(Email::parse(typed).is_err(), "{typed:?} was accepted");
        }
    }

    #[test]
    fn addresses_that_unicode_lower_casing_would_join_stay_apart() {
        for (one, other) in [
            ("\u{c9}mile@example.com", "\u{e9}mile@example.com"),
            ("i\u{307}@example.com", "\u{130}@example.com"),
            ("stra\u{df}e@example.com", "strasse@example.com"),
            ("a@stra\u{df}e.example", "a@strasse.example"),
            ("m\u{131}ke@example.org", "mike@example.org"),
        ] {
            assert_ne!(canonical(one), canonical(other), "{one} {other}");
        }
    }

    #[test]
    fn lengths_are_bytes_of_every_form() {
        let local = "l".repeat(64);
        let domain = |bytes: usize| {
            format!("{}.{}", "d".repeat(63), ["e".repeat(63), "f".repeat(bytes - 128)].join("."))
        };
        assert!(Email::parse(&format!("{local}@{}", domain(189))).is_ok());
        assert_eq!(Email::parse(&format!("{local}@{}", domain(190))), Err(InvalidEmail::TooLong));
        assert_eq!(Email::parse(&format!("{local}l@example.com")), Err(InvalidEmail::TooLong));
        assert!(Email::parse(&format!("{}@example.com", "\u{e9}".repeat(32))).is_ok());
        assert_eq!(Email::parse(&format!("{}@example.com", "\u{e9}".repeat(33))), Err(InvalidEmail::TooLong));
        // 204 bytes as typed; the A-labels make more than 254 of it.
        let swelling = format!("{local}@{}", vec!["\u{4e00}\u{9fa5}"; 20].join("."));
        assert!(swelling.len() <= MAX_BYTES);
        assert!(Email::parse(&swelling).is_err());
        assert_eq!(Email::parse(&format!("a@{}.example", "d".repeat(64))), Err(InvalidEmail::Domain));
    }

    proptest! {
        #[test]
        fn nothing_panics(typed in ".{0,80}") {
            let _ = Email::parse(&typed);
        }

        #[test]
        fn a_canonical_form_is_its_own_canonical_form(typed in "[\\PC]{1,12}@[a-zA-Z\\u{c0}-\\u{24f}\\u{4e00}-\\u{4e20}-]{1,12}\\.[a-zA-Z\\u{c0}-\\u{24f}]{2,6}") {
            if let Ok(email) = Email::parse(&typed) {
                let again = Email::parse(email.canonical()).unwrap();
                prop_assert_eq!(again.canonical(), email.canonical());
                prop_assert!(email.canonical().len() <= MAX_BYTES);
                prop_assert!(email.canonical().rsplit_once('@').unwrap().1.is_ascii());
            }
        }

        #[test]
        fn normalisation_form_and_ascii_case_do_not_matter(local in "[a-zA-Z\\u{c0}-\\u{ff}]{1,12}", domain in "[a-z\\u{e0}-\\u{f6}]{1,12}") {
            let typed = format!("{local}@{domain}.example");
            if let Ok(email) = Email::parse(&typed) {
                let decomposed: String = typed.nfd().collect();
                let upper = typed.to_ascii_uppercase();
                prop_assert_eq!(email.canonical(), canonical(&decomposed));
                prop_assert_eq!(email.canonical(), canonical(&upper));
            }
        }

        #[test]
        fn equal_canonical_forms_come_from_equal_local_parts(one in "[\\PC]{1,6}", other in "[\\PC]{1,6}") {
            if let (Ok(a), Ok(b)) = (Email::parse(&format!("{one}@example.com")), Email::parse(&format!("{other}@example.com"))) {
                prop_assert_eq!(a.canonical() == b.canonical(), normalize(&one) == normalize(&other));
            }
        }
    }
}
