//! How one secret becomes a credential on the wire, as data: places, wordings, lease shapes.
//!
//! Floor 0: imports `base` only. Read from policy files, obeyed by `inject/`, shown by `lease/`.

mod path_hole;
mod place;
mod shape;

pub use path_hole::{PathHole, PathHoleError};
pub use place::{BasicPart, Place, Wording, WordingError};
pub use shape::{Alphabet, ShapeError, TokenShape};
