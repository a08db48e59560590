-- What was borrowed to judge a share goes out of it again. Parameters: $nameless (rows without a DAG are of this share).

DELETE FROM object_states WHERE object_id > (SELECT last FROM share_objects);

DELETE FROM expiring_rows WHERE row_id IN (
    SELECT row_id FROM rows
    WHERE if(dag_id IS NULL, NOT $nameless, dag_id NOT IN (SELECT dag_id FROM share_dags))
);

DELETE FROM read_rows
WHERE if(dag_id IS NULL, NOT $nameless, dag_id NOT IN (SELECT dag_id FROM share_dags));
