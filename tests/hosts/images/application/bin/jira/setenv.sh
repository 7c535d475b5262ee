# Sourced by catalina.sh at each start.
CATALINA_HOME="$(cd "$(dirname "${BASH_SOURCE:-$0}")/.." && pwd)"

JIRA_HOME="/var/atlassian/application-data/jira"

#
#  Occasionally Atlassian Support may recommend that you set some specific JVM arguments.
#
JVM_SUPPORT_RECOMMENDED_ARGS=""

# Modest: the lab runs a dozen of these on two cores.
JVM_MINIMUM_MEMORY="48m"
JVM_MAXIMUM_MEMORY="128m"

JVM_REQUIRED_ARGS="-Djava.awt.headless=true -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
JAVA_OPTS="-Xms${JVM_MINIMUM_MEMORY} -Xmx${JVM_MAXIMUM_MEMORY} ${JVM_REQUIRED_ARGS} ${JVM_SUPPORT_RECOMMENDED_ARGS} ${JAVA_OPTS} -Djira.home=${JIRA_HOME}"
export JAVA_OPTS

# !INSTALLER SET JAVA_HOME
. "$CATALINA_HOME/bin/setjre.sh"

CATALINA_PID="$CATALINA_HOME/work/catalina.pid"
export CATALINA_PID
