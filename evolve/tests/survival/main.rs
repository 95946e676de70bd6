//! Whatever happens to a run, it ends as if nothing had happened, or says why it cannot.

mod budget;
mod damage;
mod disk;
mod fixture;
mod kill;
mod refused;
