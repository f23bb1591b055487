//! What workers say that they offer, within bounds.

use std::collections::BTreeMap;

use longshore_core::{Ceilings, Offer};
use longshore_proto::v1;

use crate::{error::Error, limits};

/// What the worker offers: its labels are what is known of it, where it is a member.
pub fn read(said: Option<&v1::Offer>, of_member: Option<&BTreeMap<String, String>>) -> Result<Offer, Error> {
    let Some(said) = said else {
        let labels = of_member.cloned().unwrap_or_default();
        return Ok(Offer { labels, ..Offer::default() });
    };
    let most = limits::OFFERED;
    let counts =
        [("resources", said.resources.len()), ("labels", said.labels.len()), ("networks", said.networks.len())];
    if let Some((what, _)) = counts.iter().find(|(_, count)| *count > most) {
        return Err(Error::invalid(format!("a worker offers at most {most} {what}")));
    }
    let labels = said.labels.iter().flat_map(|(name, value)| [name, value]);
    let words = labels.chain(said.resources.keys()).chain(&said.networks);
    if let Some(long) = words.into_iter().find(|word| word.len() > limits::OFFERED_BYTES) {
        let begin: String = long.chars().take(40).collect();
        return Err(Error::invalid(format!(
            "what a worker offers has at most {} bytes: {begin:?}",
            limits::OFFERED_BYTES
        )));
    }
    let ceilings = Ceilings::default();
    Ok(Offer {
        cpu_milli: said.cpu_milli,
        memory_bytes: said.memory_bytes,
        resources: said.resources.iter().map(|(name, count)| (name.clone(), *count)).collect(),
        labels: match of_member {
            Some(labels) => labels.clone(),
            None => said.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        },
        networks: (!said.any_network).then(|| said.networks.iter().cloned().collect()),
        root: said.root,
        users: said.users,
        workdir: said.workdir,
        ceilings: Ceilings {
            cpu_milli: said.max_cpu_milli.unwrap_or(ceilings.cpu_milli),
            memory_bytes: said.max_memory_bytes.unwrap_or(ceilings.memory_bytes),
            pids: said.max_pids.unwrap_or(ceilings.pids),
            tmp_bytes: said.max_tmp_bytes.unwrap_or(ceilings.tmp_bytes),
            shm_bytes: said.max_shm_bytes.unwrap_or(ceilings.shm_bytes),
            output_bytes: said.max_output_bytes.unwrap_or(ceilings.output_bytes),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_a_member_are_what_its_token_said() {
        let labels = [("disk".to_owned(), "ssd".to_owned())].into_iter().collect();
        let said = v1::Offer { labels, any_network: true, ..v1::Offer::default() };
        assert_eq!(read(Some(&said), None).unwrap().labels.len(), 1);
        assert_eq!(read(Some(&said), Some(&BTreeMap::new())).unwrap().labels.len(), 0);
        assert_eq!(read(None, None).unwrap(), Offer::default());
    }

    #[test]
    fn what_is_offered_is_bounded() {
        let many = (0..=limits::OFFERED).map(|number| (number.to_string(), 1)).collect();
        assert!(read(Some(&v1::Offer { resources: many, ..v1::Offer::default() }), None).is_err());
        let long = vec!["n".repeat(limits::OFFERED_BYTES + 1)];
        assert!(read(Some(&v1::Offer { networks: long, ..v1::Offer::default() }), None).is_err());
    }
}
