//! What a stage is at.

use longshore_client::v1::StageView;

use crate::amounts;

/// What a stage is at, besides what is done: `3 running, 1 retrying, 2 failed`.
pub fn at_work(stage: &StageView) -> String {
    let parts = [(stage.running, "running"), (stage.backing_off, "retrying"), (stage.failed, "failed")];
    let some = parts.iter().filter(|(count, _)| *count > 0);
    let texts: Vec<String> = some.map(|(count, what)| format!("{} {what}", amounts::count(*count))).collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_at_work_leaves_out_zeros() {
        let stage = StageView { running: 1_200, failed: 2, ..StageView::default() };
        assert_eq!(at_work(&stage), "1,200 running, 2 failed");
        assert_eq!(at_work(&StageView::default()), "");
    }
}
