//! Members and tokens: which workers may come in from other machines, and by what people are known. One command a file.

mod create_token;
mod expiry;
mod input;
mod join;
mod member;
mod remove_tokens;
mod remove_worker;
mod renew;
mod rotate_token;
mod token;

pub(crate) mod answer;

pub(crate) use self::{expiry::Expiry, join::look};
pub use self::{
    input::{MembersInput, TokensOf},
    join::{Applicant, Joining},
    member::MemberRecord,
    token::{TokenId, TokenKind, TokenRecord, TokenRole, TokenTerms},
};
