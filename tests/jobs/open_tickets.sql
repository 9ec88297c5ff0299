-- The tickets of each customer; customers without any have no row.
CREATE TEMPORARY VIEW states AS
SELECT customer_id, CASE state WHEN 'open' THEN 1 ELSE 0 END AS is_open, committed_ms FROM tickets;

SELECT customer_id, COUNT(*) AS tickets, SUM(is_open) AS open_ones, MAX(committed_ms) AS committed_ms
FROM states GROUP BY customer_id;
