-- name: CountSource :exec
-- One failure, and a lock if it made one, of a source. Windows are fixed:
-- they start with the first failure after the last one ended.
INSERT INTO sources (source, window_start, failures, hour_start, locks)
VALUES (@source, @now, 1, @now, @locks)
ON CONFLICT (source) DO UPDATE SET
	window_start = CASE WHEN sources.window_start <= @window_over
		THEN excluded.window_start ELSE sources.window_start END,
	failures = CASE WHEN sources.window_start <= @window_over
		THEN 1 ELSE sources.failures + 1 END,
	hour_start = CASE WHEN sources.hour_start <= @hour_over
		THEN excluded.hour_start ELSE sources.hour_start END,
	locks = CASE WHEN sources.hour_start <= @hour_over
		THEN excluded.locks ELSE sources.locks + excluded.locks END;
