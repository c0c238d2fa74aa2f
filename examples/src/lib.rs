//! One file for each way to use Backstop.
