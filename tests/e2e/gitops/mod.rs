//! What GitOps tools make of our objects: the real controller of Flux, Argo CD's own Lua engine, and kstatus.

mod flux;
mod health;
mod pipelines;
