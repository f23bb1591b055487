//! What a stage is at.

use longshore_client::v1::StageView;

use crate::amounts;

/// What a stage is at, besides what is done, the worst first, which stays in sight where a line is short: `2 failed, 1 retrying,
/// 3 running`.
pub fn at_work(stage: &StageView) -> String {
    let parts = [
        (stage.failed, "failed"),
        (stage.backing_off, "retrying"),
        (stage.running, "running"),
        (stage.filtered, "filtered"),
    ];
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
        assert_eq!(at_work(&stage), "2 failed, 1,200 running");
        assert_eq!(at_work(&StageView::default()), "");
    }
}
