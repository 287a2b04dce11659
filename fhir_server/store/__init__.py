"""MongoDB: the connection, the embedded mongod, and the collections records live in. Nothing else imports pymongo."""
