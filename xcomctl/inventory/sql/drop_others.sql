-- What is of other shards goes when everything is judged. Parameters: $nameless (rows without a DAG are of this shard).

DELETE FROM object_states WHERE object_id > (SELECT last FROM shard_objects);

DELETE FROM expiring_rows WHERE row_id IN (
    SELECT row_id FROM rows
    WHERE if(dag_id IS NULL, NOT $nameless, dag_id NOT IN (SELECT dag_id FROM shard_dags))
);

DELETE FROM read_rows
WHERE if(dag_id IS NULL, NOT $nameless, dag_id NOT IN (SELECT dag_id FROM shard_dags));
