//! Secrets as specs and flags name them.

use std::str::FromStr;

use longshore_client::{
    secret,
    v1::{SecretUse, secret_use::As},
};
use serde::Deserialize;

use super::{
    invalid::{Checked, Invalid},
    name::{SecretName, VariableName},
};

/// A secret of the namespace, given as a variable, a file or both; unless said as a variable of its name in capitals.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SecretFile {
    /// The secret's name.
    name: SecretName,
    /// Environment variable that holds it.
    env: Option<VariableName>,
    /// Name of a file in {secrets} that holds it.
    file: Option<SecretName>,
}

impl SecretFile {
    fn uses(&self) -> impl Iterator<Item = SecretUse> {
        let Self { name, env, file } = self;
        let variable = match (env, file) {
            (None, None) => Some(secret::variable(&name.0)),
            (env, _) => env.as_ref().map(|env| env.0.clone()),
        };
        let file = file.as_ref().map(|file| file.0.clone());
        let given = variable.map(As::Env).into_iter().chain(file.map(As::File));
        given.map(|given| SecretUse { name: name.0.clone(), r#as: Some(given) })
    }
}

/// As the wire has them.
pub fn wire(secrets: &[SecretFile]) -> Vec<SecretUse> {
    secrets.iter().flat_map(SecretFile::uses).collect()
}

/// `NAME[,env=VARIABLE][,file=FILE]`.
impl FromStr for SecretFile {
    type Err = Invalid;

    fn from_str(text: &str) -> Checked<Self> {
        let mut words = text.split(',');
        let name = words.next().unwrap_or_default().parse()?;
        let mut secret = Self { name, env: None, file: None };
        for word in words {
            let twice = |taken: bool| {
                if taken { Err(Invalid(format!("{word:?}: that is said twice"))) } else { Ok(()) }
            };
            match word.split_once('=') {
                Some(("env", env)) => {
                    twice(secret.env.is_some())?;
                    secret.env = Some(env.parse()?);
                }
                Some(("file", file)) => {
                    twice(secret.file.is_some())?;
                    secret.file = Some(file.parse()?);
                }
                _ => return Err(Invalid(format!("{word:?} is neither env=VARIABLE nor file=FILE"))),
            }
        }
        Ok(secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, As)> {
        let read: SecretFile = text.parse().unwrap();
        wire(&[read]).into_iter().map(|used| (used.name, used.r#as.unwrap())).collect()
    }

    #[test]
    fn a_secret_is_given_as_a_variable_a_file_or_both() {
        let name = || "db-password".to_owned();
        let (env, file) = (As::Env("PW".to_owned()), As::File("pw.txt".to_owned()));
        assert_eq!(read("db-password"), [(name(), As::Env("DB_PASSWORD".to_owned()))]);
        assert_eq!(read("db-password,env=PW"), [(name(), env.clone())]);
        assert_eq!(read("db-password,file=pw.txt"), [(name(), file.clone())]);
        assert_eq!(read("db-password,file=pw.txt,env=PW"), [(name(), env), (name(), file)]);
        for bad in ["", "a/b", "a,b", "a,env", "a,env=", "a,file=../x", "a,env=A,env=B", "a,value=x"] {
            assert!(bad.parse::<SecretFile>().is_err(), "{bad}");
        }
    }
}
