package ledger

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

const (
	// uploadKept is how long the service keeps an uploaded file. An address that is said to live longer was written before the
	// clock was set back. Source: https://help.aliyun.com/zh/model-studio/get-temporary-file-url.
	uploadKept = 48 * time.Hour
	// uploadReserve is what an address must have left to be worth using: a task may wait long before its files are read.
	uploadReserve = time.Hour
)

// Uploaded returns the address at which a content, by its SHA-256 in hex, is already kept for a model of this account: ""
// when there is none, or none that lives for another hour, or when a task with it has failed, since it may be that the service could
// not read it, and sending a file again costs nothing. The error is a *[video.Error].
func (l *Ledger) Uploaded(ctx context.Context, model, sum string) (url string, err error) {
	db, err := l.existing(ctx)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	now := time.Now()
	err = db.QueryRowContext(ctx, `SELECT url FROM r2v_upload WHERE upstream = $1 AND account = $2 AND model = $3 AND sum = $4
		AND expires_at > $5 AND expires_at <= $6
		AND NOT EXISTS (SELECT 1 FROM r2v_task WHERE status = 'FAILED' AND created_at > $7
			AND (provider_task_id IS NOT NULL OR failure LIKE '%nvalid%') AND request LIKE '%' || url || '%')`, l.Upstream, l.Account, storable(model), storable(sum),
		micros(now.Add(uploadReserve)), micros(now.Add(uploadKept)), micros(now.Add(-uploadKept))).Scan(&url)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return url, l.explain(err)
}

// KeepUpload records at which address a content is kept for a model of this account, and until when. Addresses that are dead
// go, whoever recorded them. The error is a *[video.Error].
func (l *Ledger) KeepUpload(ctx context.Context, model, sum, url string, expires time.Time) error {
	db, err := l.database(ctx)
	if err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "DELETE FROM r2v_upload WHERE expires_at <= $1", micros(time.Now())); err != nil {
		return l.explain(err)
	}
	_, err = db.ExecContext(ctx, `INSERT INTO r2v_upload (upstream, account, model, sum, url, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (upstream, account, model, sum) DO UPDATE SET url = $5, expires_at = $6`,
		l.Upstream, l.Account, storable(model), storable(sum), storable(url), micros(expires))
	return l.explain(err)
}
