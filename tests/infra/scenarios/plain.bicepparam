// What `azd up` makes where nothing but its three questions is answered.
using '../../../infra/main.bicep'

param environmentName = 'test'
param location = 'westeurope'
param cloud = {
  name: 'AzureCloud'
  storageSuffix: 'core.windows.net'
  vaultSuffix: '.vault.azure.net'
  loginUrl: 'https://login.microsoftonline.com/'
}
