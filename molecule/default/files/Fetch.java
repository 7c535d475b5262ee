import java.net.HttpURLConnection;
import java.net.URL;

/** Fetches a URL with the trust store that the JVM was given; prints the status, or why it was refused. */
public class Fetch {
    public static void main(String[] arguments) throws Exception {
        try {
            HttpURLConnection connection = (HttpURLConnection) new URL(arguments[0]).openConnection();
            System.out.println("status " + connection.getResponseCode());
        } catch (javax.net.ssl.SSLException refused) {
            System.out.println("refused " + refused.getMessage());
        }
    }
}
