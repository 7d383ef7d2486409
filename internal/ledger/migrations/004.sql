-- What the provider has set aside for a task, as decimal text, and how many percent of it are done.
ALTER TABLE r2v_task ADD COLUMN hold TEXT NOT NULL DEFAULT '';
ALTER TABLE r2v_task ADD COLUMN progress BIGINT NOT NULL DEFAULT 0;
-- Who is told of its end, what has come of that as JSON, and when it is tried next.
ALTER TABLE r2v_task ADD COLUMN callback_url TEXT NOT NULL DEFAULT '';
ALTER TABLE r2v_task ADD COLUMN callback TEXT NOT NULL DEFAULT '';
ALTER TABLE r2v_task ADD COLUMN callback_due_at BIGINT;
CREATE INDEX r2v_task_callback ON r2v_task (upstream, callback_due_at) WHERE callback_due_at IS NOT NULL;
-- Whose end nobody was told of yet: those that are open, and what an earlier version of the program has recorded.
CREATE INDEX r2v_task_untold ON r2v_task (upstream, created_at) WHERE callback_url <> '' AND callback = '';
-- A name of the task that only the provider is told, for callbacks of its own.
ALTER TABLE r2v_task ADD COLUMN hint TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX r2v_task_hint ON r2v_task (hint) WHERE hint <> '';
-- When the bill of a clip is asked for that was not told with its end.
ALTER TABLE r2v_task ADD COLUMN bill_due_at BIGINT;
CREATE INDEX r2v_task_bill ON r2v_task (upstream, bill_due_at) WHERE bill_due_at IS NOT NULL;
