# Keeps one PostgreSQL server, and takes it along when it goes. It runs in the folder that it is to use, obeys the orders
# that come in on stdin, and answers each with a line. When stdin ends, however its owner came to end, it stops the server
# and removes the folder.
# Arguments: the folder of PostgreSQL's programs, the server's options, the folder to use.
programs=$1 options=$2 folder=$3

# A signal is as good as the end of stdin. What it starts does not inherit a handler, as it would inherit deafness.
trap : HUP INT TERM PIPE
umask 077
exec 2>>log

create() {
  read -r password
  printf '%s\n' "$password" >password
  "$programs/initdb" -D data -U tester --pwfile=password -A scram-sha-256 -E UTF8 --locale=C --no-sync
  status=$?
  rm -f password
  return $status
}
start() { "$programs/pg_ctl" start -D "$folder/data" -l "$folder/log" -o "$options" -w -t 30; }
stop() { "$programs/pg_ctl" stop -D "$folder/data" -m immediate -w -t 30; }

while read -r order; do
  case $order in
  create) create >>log ;; # the password is the next line of stdin
  start) start </dev/null >>log ;;
  stop) stop </dev/null >>log ;;
  *) false ;;
  esac
  if [ $? -eq 0 ]; then echo done; else echo failed; fi
done

stop </dev/null >>log
cd /
rm -rf "$folder"
