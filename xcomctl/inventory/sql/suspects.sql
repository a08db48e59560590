-- References under a root of which no possible object was listed; what they mean is asked of the store afterwards.

SELECT r.row_id, r.reference_no, r.confidence, r.bucket, r.key
FROM refs r
WHERE r.under_root
  -- By the row alone first: that keeps the text of all other references out of what is joined.
  AND r.row_id IN (SELECT row_id FROM missed_refs)
  AND (r.row_id, r.reference_no) IN (SELECT (row_id, reference_no) FROM missed_refs)
ORDER BY r.row_id, r.reference_no
