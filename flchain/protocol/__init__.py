"""What every machine must agree on; depends on nothing but hashing and ABI encoding."""
