# Sourced by catalina.sh at each start.
CATALINA_HOME="$(cd "$(dirname "${BASH_SOURCE:-$0}")/.." && pwd)"
. "$CATALINA_HOME/bin/setjre.sh"

# Modest: the lab runs a dozen of these on two cores.
CATALINA_OPTS="-Xms48m -Xmx128m ${CATALINA_OPTS}"
CATALINA_OPTS="-XX:+UseSerialGC -XX:TieredStopAtLevel=1 ${CATALINA_OPTS}"
CATALINA_OPTS="-Djava.awt.headless=true ${CATALINA_OPTS}"
# Of the real script: the context path is read from server.xml for the second Context there.
CONFLUENCE_CONTEXT_PATH=$(sed -n 's|.*<Context path="\([^"$]*\)" docBase="../confluence".*|\1|p' "$CATALINA_HOME/conf/server.xml")
CATALINA_OPTS="-Dconfluence.context.path=${CONFLUENCE_CONTEXT_PATH} ${CATALINA_OPTS}"
export CATALINA_OPTS

CATALINA_PID="$CATALINA_HOME/work/catalina.pid"
export CATALINA_PID
