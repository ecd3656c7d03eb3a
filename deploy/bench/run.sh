#!/usr/bin/env bash
# Measures this product beside the floor of ../shared/bench, in one run: server
# and database on one core, the load on another (see that folder's README).
#
#   deploy/bench/run.sh [DURATION] [RUNS] [SCENARIOS]      e.g. 10s 3 signin,sso
#
# Needs Go, PostgreSQL 15 and two cores. Everything is made in a temporary
# folder and ends with the script.
set -euo pipefail
cd "$(dirname "$0")/../.."
duration=${1:-10s} runs=${2:-3} scenarios=${3:-signin,sso,refresh,userinfo,introspect,client_credentials,discovery,flood,bystander}
bench=${BENCH:-../shared/bench}
bin=/usr/lib/postgresql/15/bin
work=$(mktemp -d) && chmod 755 "$work"
pids=()
finish() {
	kill "${pids[@]}" 2>/dev/null || true
	as_postgres "$bin/pg_ctl" -D "$work/pg/data" -m immediate stop >/dev/null 2>&1 || true
	rm -rf "$work"
}
trap finish EXIT
as_postgres() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }

go build -o "$work/idp" ./cmd/idp
cp -r "$bench" "$work/bench" && chmod -R u+w "$work/bench"
(cd "$work/bench" && go build -o "$work/" ./cmd/...)

mkdir "$work/pg" && { [ "$(id -u)" != 0 ] || chown postgres "$work/pg"; }
as_postgres "$bin/initdb" -D "$work/pg/data" -U postgres -A trust >/dev/null
as_postgres taskset -c 0 "$bin/postgres" -D "$work/pg/data" -h 127.0.0.1 -p 55432 -k "$work/pg" \
	-c shared_preload_libraries=pg_stat_statements -c shared_buffers=256MB -c max_connections=200 2>"$work/pg.log" &
pids+=($!)
pg="postgres://postgres@127.0.0.1:55432"
until "$bin/psql" "$pg/postgres" -qc 'CREATE EXTENSION pg_stat_statements' 2>/dev/null; do sleep 0.2; done
"$bin/psql" "$pg/postgres" -qc 'CREATE DATABASE floor' -c 'CREATE DATABASE ours'
head -1 "$work/pg/data/postmaster.pid" 2>/dev/null >"$work/postmaster.pid" || as_postgres head -1 "$work/pg/data/postmaster.pid" >"$work/postmaster.pid"

taskset -c 0 "$work/floorop" -listen 127.0.0.1:7000 -dsn "$pg/floor?sslmode=disable" &
pids+=($!) && echo $! >"$work/floor.pid"

export IDP_STORE__URL="$pg/ours?sslmode=disable" IDP_KEYS__RING_FILE="$work/ring.json"
"$work/idp" keys new-ring >"$work/ring.json"
"$work/idp" migrate
cat >"$work/idp.yaml" <<YAML
issuer: http://127.0.0.1:7010
listen: 127.0.0.1:7010
operator: {listen: "127.0.0.1:7011"}
mail: {host: 127.0.0.1, port: 9, security: none, from: bench@medximity.example}
support: {email: support@medximity.example}
limits: {exempt: [127.0.0.0/8]}
log: {level: error}
clients:
  - {id: bench, secret: bench-secret-bench-secret-bench-secret, redirect_uris: ["http://127.0.0.1:9/cb"], algorithm: ${ALG:-ES256}, introspect: true}
  # Its tokens are JWTs, as the floor's are for clients themselves.
  - {id: robot, secret: robot-secret-robot-secret-robot-secret, grant_types: [client_credentials], access_token_format: jwt, algorithm: ${ALG:-ES256}}
YAML
# 200 people with one password, as the floor has them.
printf 'Bench-Passw0rd!' | "$work/idp" account add --email seed@bench.example --password-stdin >/dev/null
"$bin/psql" "$pg/ours" -q <<'SQL'
INSERT INTO people (id, username, email, name, claims, password_hash, created_at, updated_at)
SELECT 'bench' || i, 'user' || lpad(i::text, 4, '0'), 'user' || i || '@bench.example', 'User ' || i, '{}',
	(SELECT password_hash FROM people WHERE email = 'seed@bench.example'), 0, 0 FROM generate_series(0, 199) i;
INSERT INTO identifiers (key, person, email) SELECT username, id, false FROM people WHERE id LIKE 'bench%';
SQL
GOMAXPROCS=1 taskset -c 0 "$work/idp" serve --config "$work/idp.yaml" &
pids+=($!) && echo $! >"$work/ours.pid"
until curl -fs http://127.0.0.1:7011/readyz >/dev/null; do sleep 0.2; done

sed 's#"floor.pid"#"'"$work"'/floor.pid"#; s#"postmaster.pid"#"'"$work"'/postmaster.pid"#' "$bench/targets/floor.json" >"$work/floor.json"
sed 's#"name": "floor"#"name": "ours"#; s#"floor.pid"#"ours.pid"#; s#127.0.0.1:7000#127.0.0.1:7010#; s#/floor#/ours#' "$work/floor.json" >"$work/ours.json"
sed -i 's#"server": "[^"]*"#"server": "'"$work"'/ours.pid"#' "$work/ours.json"
sed -i 's#^ "m2m": .*# "m2m": {"id": "robot", "secret": "robot-secret-robot-secret-robot-secret", "auth": "basic"},#' "$work/ours.json"
"$work/opbench" check "$work/ours.json"
taskset -c 1 "$work/opbench" run -c 4 -d "$duration" -runs "$runs" -scenarios "$scenarios" -pin-server 0 -pin-self 1 "$work/floor.json" "$work/ours.json"
