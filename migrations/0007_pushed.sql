-- Authorization requests that apps pushed (RFC 9126), and those that were
-- answered. A program that knows nothing of this has no endpoint to push to.

-- +goose Up

-- id is the SHA-256 of the request_uri. visit is "" until a visit to the request
-- is answered, and names that one from then on; the request is blank then.
CREATE TABLE pushed_requests (
	id         bytea  PRIMARY KEY,
	client     text   NOT NULL,
	request    text   NOT NULL,
	visit      text   NOT NULL,
	expires_at bigint NOT NULL
);
CREATE INDEX pushed_requests_expires ON pushed_requests (expires_at);
