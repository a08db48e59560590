-- The suspects, and which of them the listing itself settles (`part` is 'sample' or 'rest', else 'open'): an upload
-- precedes its row, and what was there when the listing began is in it, under the very name where nothing in the name
-- could be written otherwise.

CREATE OR REPLACE TABLE suspects AS
WITH found AS (
    {suspects}
), settled AS (
    SELECT f.row_id, f.reference_no, row_number() OVER (ORDER BY hash(f.row_id), f.row_id, f.reference_no) AS place
    FROM found f JOIN rows w USING (row_id)
    GROUP BY f.row_id, f.reference_no
    HAVING count(*) = 1
        AND bool_and(coalesce(
            f.confidence = 'exact'
            AND w.written_at < $before
            AND list_contains($over, w.run_state)
            AND regexp_full_match(f.key, '[A-Za-z0-9_.:+=@,~/-]+')
            AND NOT regexp_matches(f.key, '^/|//|/$|(^|/)\.{1,2}(/|$)'),
            false
        ))
)
SELECT f.*, CASE WHEN s.place IS NULL THEN 'open' WHEN s.place <= $sample THEN 'sample' ELSE 'rest' END AS part
FROM found f LEFT JOIN settled s USING (row_id, reference_no)
