"""The journal folded into tables for queries; derived, can be rebuilt."""
