//! Tokens as people copy, cut and mistype them.

use proptest::prelude::*;

use super::*;

fn token(kind: TokenKind) -> Token {
    Token::new(kind, Pin::of_key(b"a key"))
}

fn same(one: &Token, other: &Token) -> bool {
    (one.kind, one.pin, one.id, one.secret_digest()) == (other.kind, other.pin, other.id, other.secret_digest())
}

#[test]
fn a_token_is_read_as_it_was_given_in_small_letters_and_with_blanks_around_it_too() {
    for kind in [TokenKind::Join, TokenKind::Person] {
        let token = token(kind);
        let text = token.reveal();
        assert!(text.len() == CHARS && text.starts_with(kind.prefix()));
        for text in [text.to_string(), text.to_lowercase(), format!("  {}\n", *text)] {
            assert!(same(&Token::parse_as(kind, &text).unwrap(), &token));
        }
    }
}

#[test]
fn a_token_is_never_shown_by_accident() {
    let token = token(TokenKind::Join);
    let (text, secret) = (token.reveal(), crockford::encode(token.secret()));
    assert!(text.contains(&secret));
    let shown = format!("{token:?} {:?} {:?}", token.secret_digest(), Token::parse(&text[..60]));
    assert!(!shown.contains(&secret) && shown.contains(&token.id().to_string()), "{shown}");
}

#[test]
fn what_is_wrong_with_a_text_is_told_apart() {
    let text = token(TokenKind::Join).reveal();
    let error = |text: &str| Token::parse(text).unwrap_err();
    for other in ["", "  ", "hunter2", "lsl_0123", "LSX1-0", "LS", "LS-1", "LSJ0-1", "LSJone", "LSJ01-0", "éé"] {
        assert_eq!(error(other), TokenError::NoToken, "{other:?}");
    }
    for cut in 3..CHARS {
        assert_eq!(error(&text[..cut]), TokenError::Length { chars: cut });
    }
    assert_eq!(error(&format!("{}0", *text)), TokenError::Length { chars: CHARS + 1 });
    assert_eq!(error(&text.replacen("LSJ1", "lsj2", 1)), TokenError::Newer { version: 2 });
    assert_eq!(error("LSJ12-whatever"), TokenError::Newer { version: 12 });
    let wanted = TokenKind::Person;
    let other = Token::parse_as(wanted, &text).unwrap_err();
    assert_eq!(other, TokenError::OtherKind { found: TokenKind::Join, wanted });
    assert!(error(&text[..60]).to_string().contains("cut off: it has 60 characters"));
}

#[test]
fn every_character_that_is_another_is_noticed() {
    let token = token(TokenKind::Person);
    let text = token.reveal();
    let others: Vec<char> = (' '..='~').chain(['é', '€', '\0']).collect();
    for at in 0..text.len() {
        for other in others.iter().copied() {
            let changed: String = text.chars().enumerate().map(|(n, c)| if n == at { other } else { c }).collect();
            // Unless it only looks like another: a small letter, an O for a 0.
            match Token::parse(&changed) {
                Ok(read) => assert!(same(&read, &token), "{changed}"),
                Err(TokenError::NoToken | TokenError::Newer { .. }) => assert!(at < 5, "{changed}"),
                Err(TokenError::Length { .. }) => assert!(at == 0 || at == text.len() - 1 || at < 5, "{changed}"),
                Err(error) => assert_eq!(error, TokenError::Typo, "{changed}"),
            }
        }
    }
}

#[test]
fn neighbours_that_changed_places_are_noticed() {
    let token = token(TokenKind::Join);
    let text = token.reveal();
    for at in 0..text.len() - 1 {
        let mut bytes = text.as_bytes().to_vec();
        bytes.swap(at, at + 1);
        let swapped = String::from_utf8(bytes).unwrap();
        assert!(swapped == *text || Token::parse(&swapped).is_err(), "{swapped}");
    }
}

#[test]
fn an_id_is_read_as_it_is_shown() {
    let id = token(TokenKind::Join).id();
    assert_eq!(id.to_string().to_lowercase().parse(), Ok(id));
    assert_eq!("".parse::<TokenId>(), Err(NoTokenId));
}

#[test]
fn tokens_differ() {
    let (one, other) = (token(TokenKind::Join), token(TokenKind::Join));
    assert!(one.id() != other.id() && one.secret_digest() != other.secret_digest());
    assert_eq!(one.secret_digest(), SecretDigest::of(one.secret()));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC*", at in 0usize..120, more in "\\PC{0,4}") {
        let _ = Token::parse(&text);
        let mut nearly = token(TokenKind::Join).reveal().to_string();
        nearly.insert_str(at.min(nearly.len()), &more);
        if let Ok(read) = Token::parse(&nearly) {
            prop_assert_eq!(&*read.reveal(), &nearly.trim().to_uppercase());
        }
        let _ = (text.parse::<TokenId>(), text.parse::<Pin>());
    }

    #[test]
    fn every_token_comes_back(pin in any::<[u8; 32]>(), join in any::<bool>()) {
        let token = Token::new(if join { TokenKind::Join } else { TokenKind::Person }, Pin(pin));
        prop_assert!(same(&Token::parse(&token.reveal()).unwrap(), &token));
    }
}
