"""What the tests share: fakes, servers, scripts and the types of fixtures."""
