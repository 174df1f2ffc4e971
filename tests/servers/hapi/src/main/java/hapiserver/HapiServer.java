package hapiserver;

import ca.uhn.fhir.batch2.jobs.config.Batch2JobsConfig;
import ca.uhn.fhir.batch2.jobs.export.BulkDataExportProvider;
import ca.uhn.fhir.batch2.maintenance.JobMaintenanceServiceImpl;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.config.ThreadPoolFactoryConfig;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.batch2.JpaBatch2Config;
import ca.uhn.fhir.jpa.binary.api.IBinaryStorageSvc;
import ca.uhn.fhir.jpa.binary.svc.NullBinaryStorageSvcImpl;
import ca.uhn.fhir.jpa.config.HapiJpaConfig;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.jpa.config.r5.JpaR5Config;
import ca.uhn.fhir.jpa.config.util.HapiEntityManagerFactoryUtil;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.config.SubscriptionSettings;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirH2Dialect;
import ca.uhn.fhir.jpa.provider.IJpaSystemProvider;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.provider.TerminologyUploaderProvider;
import ca.uhn.fhir.jpa.provider.ValueSetOperationProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.subscription.channel.config.SubscriptionChannelConfig;
import ca.uhn.fhir.jpa.subscription.submit.config.SubscriptionSubmitterConfig;
import ca.uhn.fhir.rest.api.EncodingEnum;
import ca.uhn.fhir.rest.server.ETagSupportEnum;
import ca.uhn.fhir.rest.server.IncomingRequestAddressStrategy;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import com.zaxxer.hikari.HikariDataSource;
import jakarta.persistence.EntityManagerFactory;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Arrays;
import java.util.Map;
import java.util.Properties;
import javax.sql.DataSource;
import org.hibernate.resource.jdbc.spi.StatementInspector;
import org.springframework.beans.factory.SmartInitializingSingleton;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.autoconfigure.ImportAutoConfiguration;
import org.springframework.boot.autoconfigure.context.PropertyPlaceholderAutoConfiguration;
import org.springframework.boot.autoconfigure.web.embedded.EmbeddedWebServerFactoryCustomizerAutoConfiguration;
import org.springframework.boot.autoconfigure.web.servlet.ServletWebServerFactoryAutoConfiguration;
import org.springframework.boot.web.servlet.ServletRegistrationBean;
import org.springframework.context.ApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Import;
import org.springframework.context.annotation.Primary;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;

/**
 * A HAPI FHIR JPA server, R4 or R5, on an in-memory H2 database, for tests: java -jar hapi.jar --port=8080 [--fhir=r5].
 * It ends when its standard input does, so it cannot outlive who started it.
 */
@SpringBootConfiguration
@ImportAutoConfiguration({
    PropertyPlaceholderAutoConfiguration.class,
    ServletWebServerFactoryAutoConfiguration.class,
    EmbeddedWebServerFactoryCustomizerAutoConfiguration.class // without it server.tomcat.* is not applied
})
@Import({
    HapiJpaConfig.class,
    ThreadPoolFactoryConfig.class,
    JpaBatch2Config.class,
    Batch2JobsConfig.class,
    SubscriptionChannelConfig.class,
    SubscriptionSubmitterConfig.class
})
public class HapiServer {

    public static void main(String[] args) {
        Thread end = new Thread(HapiServer::endWithInput);
        end.setDaemon(true);
        end.start();
        boolean r5 = Arrays.asList(args).contains("--fhir=r5");
        SpringApplication app = new SpringApplication(HapiServer.class, r5 ? JpaR5Config.class : JpaR4Config.class);
        app.setDefaultProperties(Map.of(
                "server.address", "127.0.0.1",
                "server.port", "${port:8080}",
                "server.tomcat.relaxed-query-chars", "|,{,},[,]",
                "spring.main.allow-bean-definition-overriding", "true",
                "spring.main.allow-circular-references", "true",
                "spring.main.banner-mode", "off",
                "logging.level.root", "WARN",
                "logging.level.hapiserver", "INFO"));
        app.run(args);
    }

    /** Halts: an orderly shutdown would wait for jobs and drop the database, and nothing of either is kept. */
    private static void endWithInput() {
        try {
            System.in.transferTo(OutputStream.nullOutputStream());
        } catch (IOException e) {
            // an input that cannot be read is at its end too
        }
        Runtime.getRuntime().halt(0);
    }

    @Bean
    DataSource dataSource(
            @Value("${jdbc.url:jdbc:h2:mem:hapi;DB_CLOSE_DELAY=-1}") String url, @Value("${jdbc.pool:16}") int pool) {
        HikariDataSource ds = new HikariDataSource();
        ds.setJdbcUrl(url);
        ds.setUsername("sa");
        ds.setPassword("");
        ds.setMaximumPoolSize(pool);
        return ds;
    }

    @Bean
    @Primary
    LocalContainerEntityManagerFactoryBean entityManagerFactory(
            DataSource dataSource,
            ConfigurableListableBeanFactory beans,
            FhirContext ctx,
            JpaStorageSettings settings) {
        LocalContainerEntityManagerFactoryBean emf =
                HapiEntityManagerFactoryUtil.newEntityManagerFactory(beans, ctx, settings);
        emf.setPersistenceUnitName("HAPI_PU");
        emf.setDataSource(dataSource);
        Properties p = new Properties();
        p.put("hibernate.dialect", HapiFhirH2Dialect.class.getName());
        p.put("hibernate.hbm2ddl.auto", "create");
        p.put("hibernate.jdbc.batch_size", "20");
        p.put("hibernate.cache.use_query_cache", "false");
        p.put("hibernate.cache.use_second_level_cache", "false");
        p.put("hibernate.search.enabled", "false");
        p.put("hibernate.session_factory.statement_inspector", new IdLookups());
        emf.setJpaProperties(p);
        return emf;
    }

    /**
     * HAPI looks the client's ids of a bundle up as "(type=? and id=? or type=? and id=? or ...)", for which H2 scans
     * the whole table, so that each PUT gets slower as the server fills. "(type,id) in ((?,?),(?,?),...)" says the
     * same with its parameters in the same order, and H2 takes its index for it.
     */
    static class IdLookups implements StatementInspector {
        private static final String ONE = "rt1_0.RES_TYPE=? and rt1_0.FHIR_ID=?";
        private static final String MORE = " or " + ONE;

        @Override
        public String inspect(String sql) {
            int start = sql.indexOf("(" + ONE + MORE);
            if (start < 0) {
                return sql;
            }
            int end = start + 1 + ONE.length();
            int more = 0;
            for (; sql.startsWith(MORE, end); end += MORE.length()) {
                more++;
            }
            if (sql.charAt(end) != ')') {
                return sql;
            }
            return sql.substring(0, start) + "(rt1_0.RES_TYPE,rt1_0.FHIR_ID) in ((?,?)" + ",(?,?)".repeat(more) + ")"
                    + sql.substring(end + 1);
        }
    }

    @Bean
    @Primary
    JpaTransactionManager transactionManager(EntityManagerFactory emf) {
        return new JpaTransactionManager(emf);
    }

    @Bean
    JpaStorageSettings storageSettings(
            @Value("${fhir.client-ids:ALPHANUMERIC}") JpaStorageSettings.ClientIdStrategyEnum clientIds,
            @Value("${fhir.check-references:true}") boolean checkReferences,
            @Value("${fhir.cache-searches-ms:60000}") long cacheSearchesMs) {
        JpaStorageSettings s = new JpaStorageSettings();
        s.setResourceClientIdStrategy(clientIds);
        s.setEnforceReferentialIntegrityOnWrite(checkReferences);
        s.setReuseCachedSearchResultsForMillis(cacheSearchesMs > 0 ? cacheSearchesMs : null);
        s.setAllowMultipleDelete(true);
        s.setExpungeEnabled(true);
        s.setJobFastTrackingEnabled(true);
        return s;
    }

    @Bean
    PartitionSettings partitionSettings() {
        return new PartitionSettings();
    }

    @Bean
    SubscriptionSettings subscriptionSettings() {
        return new SubscriptionSettings();
    }

    @Bean
    IBinaryStorageSvc binaryStorage() {
        return new NullBinaryStorageSvcImpl();
    }

    /** HAPI looks after its batch jobs once a minute, and a bulk export waits for that three times. */
    @Bean
    SmartInitializingSingleton jobPace(ApplicationContext beans, @Value("${fhir.job-pace-ms:2000}") long ms) {
        return () -> beans.getBean(JobMaintenanceServiceImpl.class).setScheduledJobFrequencyMillis(ms);
    }

    /**
     * Takes its beans in initialize(), which Tomcat calls once the context is complete; as method arguments they would
     * be made before Spring's bean definitions are frozen, where look-ups by type are not cached.
     */
    @Bean
    ServletRegistrationBean<RestfulServer> fhirServlet(
            ApplicationContext beans,
            @Value("${fhir.page-size:20}") int pageSize,
            @Value("${fhir.max-page-size:1000}") int maxPageSize) {
        RestfulServer servlet = new RestfulServer() {
            @Override
            protected void initialize() {
                setFhirContext(beans.getBean(FhirContext.class));
                registerProviders(beans.getBean(ResourceProviderFactory.class).createProviders());
                registerProviders(
                        beans.getBean(IJpaSystemProvider.class),
                        beans.getBean(BulkDataExportProvider.class),
                        beans.getBean(ValueSetOperationProvider.class),
                        beans.getBean(TerminologyUploaderProvider.class));
                JpaCapabilityStatementProvider conformance = new JpaCapabilityStatementProvider(
                        this,
                        beans.getBean(IFhirSystemDao.class),
                        beans.getBean(JpaStorageSettings.class),
                        beans.getBean(ISearchParamRegistry.class),
                        beans.getBean(IValidationSupport.class));
                conformance.setImplementationDescription("HAPI FHIR JPA server, H2 in memory");
                setServerConformanceProvider(conformance);
                setServerAddressStrategy(new IncomingRequestAddressStrategy());
                setETagSupport(ETagSupportEnum.ENABLED);
                setDefaultResponseEncoding(EncodingEnum.JSON);
                DatabaseBackedPagingProvider paging = beans.getBean(DatabaseBackedPagingProvider.class);
                paging.setDefaultPageSize(pageSize);
                paging.setMaximumPageSize(maxPageSize);
                setPagingProvider(paging);
            }
        };
        ServletRegistrationBean<RestfulServer> r = new ServletRegistrationBean<>(servlet, "/fhir/*");
        r.setLoadOnStartup(1);
        return r;
    }
}
