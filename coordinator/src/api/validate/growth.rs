//! How the memory of an item's attempts grows.

use longshore_core::{Growth, Needs};
use longshore_proto::v1::MemoryGrowth;

use crate::limits;

/// What the core needs of it.
pub fn of(asked: Option<&MemoryGrowth>, needs: Option<&Needs>) -> Result<Option<Growth>, String> {
    let Some(&MemoryGrowth { hundredths, most_bytes }) = asked else { return Ok(None) };
    let times = |hundredths: u32| format!("x{}", f64::from(hundredths) / 100.0);
    if !limits::GROWTH.contains(&hundredths) {
        let (least, most) = (times(*limits::GROWTH.start()), times(*limits::GROWTH.end()));
        return Err(format!("retry.memory grows by {least} to {most}, not {}", times(hundredths)));
    }
    let memory = needs.map_or(0, |needs| needs.memory_bytes);
    if memory == 0 {
        return Err("retry.memory makes more of `memory`, which is not given: say how much it is at first".to_owned());
    }
    if (1..=memory).contains(&most_bytes) {
        return Err(format!("retry.memory: at most {most_bytes} bytes is no more than memory is at first, {memory}"));
    }
    Ok(Some(Growth { hundredths, up_to_bytes: most_bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_to_be_more_of_something() {
        let needs = Needs { memory_bytes: 100, ..Needs::default() };
        let of = |hundredths, most_bytes| of(Some(&MemoryGrowth { hundredths, most_bytes }), Some(&needs));
        assert_eq!(of(200, 0), Ok(Some(Growth { hundredths: 200, up_to_bytes: 0 })));
        assert!(of(150, 101).is_ok());
        for (hundredths, most_bytes, why) in
            [(100, 0, "x1.1 to x100, not x1"), (200, 100, "no more than"), (0, 0, "x0")]
        {
            let refused = of(hundredths, most_bytes).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        let nothing = super::of(Some(&MemoryGrowth { hundredths: 200, most_bytes: 0 }), None).unwrap_err();
        assert!(nothing.contains("say how much it is at first"), "{nothing}");
        assert_eq!(super::of(None, None), Ok(None));
    }
}
