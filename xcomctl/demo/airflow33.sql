-- The tables of an Airflow 3.3 metadata database (SQLite) that XComs hang from, with the columns that matter to them.

CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);

CREATE TABLE dag (
    dag_id VARCHAR(250) NOT NULL PRIMARY KEY,
    is_paused BOOLEAN NOT NULL,
    is_stale BOOLEAN NOT NULL,
    bundle_name VARCHAR(250) NOT NULL
);

CREATE TABLE dag_run (
    id INTEGER NOT NULL PRIMARY KEY,
    dag_id VARCHAR(250) NOT NULL,
    run_id VARCHAR(250) NOT NULL,
    state VARCHAR(50),
    run_type VARCHAR(50) NOT NULL,
    logical_date TIMESTAMP,
    run_after TIMESTAMP NOT NULL,
    start_date TIMESTAMP,
    end_date TIMESTAMP,
    clear_number INTEGER DEFAULT '0' NOT NULL,
    UNIQUE (dag_id, run_id)
);

CREATE TABLE task_instance (
    id CHAR(32) NOT NULL PRIMARY KEY,
    task_id VARCHAR(250) NOT NULL,
    dag_id VARCHAR(250) NOT NULL,
    run_id VARCHAR(250) NOT NULL,
    map_index INTEGER DEFAULT '-1' NOT NULL,
    state VARCHAR(20),
    try_number INTEGER NOT NULL,
    start_date TIMESTAMP,
    end_date TIMESTAMP,
    UNIQUE (dag_id, task_id, run_id, map_index),
    FOREIGN KEY (dag_id, run_id) REFERENCES dag_run (dag_id, run_id) ON DELETE CASCADE
);

CREATE TABLE xcom (
    dag_run_id INTEGER NOT NULL,
    task_id VARCHAR(250) NOT NULL,
    map_index INTEGER DEFAULT '-1' NOT NULL,
    "key" VARCHAR(512) NOT NULL,
    dag_result BOOLEAN,
    dag_id VARCHAR(250) NOT NULL,
    run_id VARCHAR(250) NOT NULL,
    value JSON,
    timestamp TIMESTAMP NOT NULL,
    PRIMARY KEY (dag_run_id, task_id, map_index, "key"),
    FOREIGN KEY (dag_id, task_id, run_id, map_index)
        REFERENCES task_instance (dag_id, task_id, run_id, map_index) ON DELETE CASCADE
);

CREATE INDEX idx_xcom_key ON xcom ("key");
CREATE INDEX idx_xcom_task_instance ON xcom (dag_id, task_id, run_id, map_index);
