# In the shape of the file that Jira 8 and later ship; shortened.
JIRA_HOME="/var/atlassian/application-data/jira"
JVM_SUPPORT_RECOMMENDED_ARGS="-Djavax.net.ssl.trustStore=/etc/ssl/wiki.jks -Djavax.net.ssl.trustStorePassword=s3cret"
JVM_MINIMUM_MEMORY=${JVM_MINIMUM_MEMORY:-2g}
JVM_REQUIRED_ARGS='-Djava.awt.headless=true -Datlassian.standalone=JIRA'
JVM_EXTRA_ARGS="-XX:-OmitStackTraceInFastThrow"

PRGDIR=`dirname "$0"`
cat "${PRGDIR}"/jirabanner.txt

JIRA_HOME_MINUSD=""
if [ "$JIRA_HOME" != "" ]; then
    echo $JIRA_HOME | grep -q " "
    if [ $? -eq 0 ]; then
        echo "   WARNING : You cannot have a JIRA_HOME environment variable set with spaces in it."
    else
        JIRA_HOME_MINUSD=-Djira.home=$JIRA_HOME
    fi
fi

# DO NOT remove the following line
# !INSTALLER SET JAVA_HOME
JRE_HOME="/opt/atlassian/jira/jre/"; export JRE_HOME

JAVA_OPTS="-Xms${JVM_MINIMUM_MEMORY} ${JAVA_OPTS} ${JVM_REQUIRED_ARGS} ${JVM_SUPPORT_RECOMMENDED_ARGS} ${JVM_EXTRA_ARGS} ${JIRA_HOME_MINUSD} ${START_JIRA_JAVA_OPTS}"

j_ver=`echo "$($JAVA_HOME/bin/java -version 2>&1)" | grep "version" | awk '{ print substr($3, 2, length($3)-2); }'`
IFS='.' read -a j_ver_parts <<< "$j_ver"
if [[ ${j_ver_parts[0]} = 17 ]]; then
  JVM_OPENS=$(cat $PRGDIR/java-opens.txt)
  JAVA_OPTS="$JVM_OPENS $JAVA_OPTS"
fi
export JAVA_OPTS
