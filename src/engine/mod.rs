//! The runtime: one worker per server; rooms, queue, budget; observe, plan, act, report.

mod view;

pub use view::{Catalog, Health, Limits, PolicyReport, Rate, Reports, Server, ServerReport, ServerView};
