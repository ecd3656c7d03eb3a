-- Known devices, where lockout.known_device is on: a browser that completed a
-- sign-in has five tries of its own, which nobody else uses up. A program that
-- knows none of this goes on.

-- +goose Up

-- Whose device a row counts for; '' for an account's own row, and for nobody's.
ALTER TABLE guards ADD COLUMN account text NOT NULL DEFAULT '';
-- Of an account's own row: attempts in flight that its devices' rows hold. Its
-- totals of wrong ones are capped, and must know of them.
ALTER TABLE guards ADD COLUMN device_passwords bigint NOT NULL DEFAULT 0;
ALTER TABLE guards ADD COLUMN device_codes bigint NOT NULL DEFAULT 0;
CREATE INDEX guards_account ON guards (account) WHERE account <> '';
CREATE INDEX guards_device_charged ON guards (charge_until)
	WHERE account <> '' AND (password_charged > 0 OR code_charged > 0);
CREATE INDEX guards_device_touched ON guards (touched_at) WHERE account <> '';

-- The guard row of the device by which the account was proven, '' for none: its
-- locks end the flow and stop the session's codes, and the account's do not.
ALTER TABLE flows ADD COLUMN device text NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN known_device text NOT NULL DEFAULT '';
