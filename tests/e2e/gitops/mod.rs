//! What GitOps tools make of our objects: the real controller of Flux.

mod flux;
mod pipelines;
