-- One person's tasks, newest first, and what they have spent since midnight.
CREATE INDEX r2v_task_owner ON r2v_task (owner, created_at, id);
