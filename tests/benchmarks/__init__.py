"""What Towngate costs, measured beside its peers: `make bench`; README.md says what each row means."""
