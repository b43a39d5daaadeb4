"""The API does what its document says, whatever it is sent: schemathesis makes up calls of every operation."""



